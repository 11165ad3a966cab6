# SPDX-License-Identifier: LGPL-2.1-or-later
# Turns the interface files into one C table of { name, introspection text }, without their comments.

BEGIN {
    print "/* Made from the XML files of dbus/ by dbus/xml-to-c.awk. */"
    print "#include \"dbus/interfaces.h\"\n"
    print "const struct bus_interface bus_interfaces[] = {"
}
{
    line = $0
    if (in_comment) {
        if (!match(line, /-->/)) next
        line = substr(line, RSTART + 3)
        in_comment = 0
    }
    while (match(line, /<!--/)) {
        rest = substr(line, RSTART + 4)
        line = substr(line, 1, RSTART - 1)
        if (match(rest, /-->/)) line = line substr(rest, RSTART + 3)
        else { in_comment = 1; break }
    }
    if (line ~ /^[ \t]*$/) next
    if (match(line, /<interface name="[^"]*"/)) {
        name = substr(line, RSTART + 17, RLENGTH - 18)
        printf "    { \"%s\",\n", name
    }
    gsub(/\\/, "\\\\", line)
    gsub(/"/, "\\\"", line)
    printf "      \"  %s\\n\"\n", line
    if (line ~ /<\/interface>/) print "    },"
}
END { print "    { 0, 0 },\n};" }
