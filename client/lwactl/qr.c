/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/lwactl/qr.h"

#include "client/lwactl/text.h"

#include <qrencode.h>
#include <string.h>

#define GLYPH_ROWS 5
#define GLYPH_COLUMNS 5
#define INDENT 4

static void qrcode_freep(QRcode **code)
{
    QRcode_free(*code);
}

/* Whether the module is dark; all around the code is light. */
static bool is_dark(const QRcode *code, int x, int y)
{
    return x >= 0 && y >= 0 && x < code->width && y < code->width &&
           (code->data[(size_t)y * (size_t)code->width + (size_t)x] & 1);
}

/* Two rows of modules in one of characters. Explicit colours make it dark on light whatever the terminal's
 * own are; without colours the terminal is taken to be light on dark, as most are. */
static void print_half_blocks(const struct terminal *t, const QRcode *code, FILE *out)
{
    static const char *const light_marks[] = {" ", "\u2584", "\u2580", "\u2588"};
    for (int y = -QR_QUIET_ZONE; y < code->width + QR_QUIET_ZONE; y += 2) {
        (void)fputs(t->has_colours ? "\033[97;40m" : "", out);
        for (int x = -QR_QUIET_ZONE; x < code->width + QR_QUIET_ZONE; x++)
            (void)fputs(light_marks[!is_dark(code, x, y) * 2 + !is_dark(code, x, y + 1)], out);
        (void)fputs(t->has_colours ? "\033[0m\n" : "\n", out);
    }
}

static void print_cells(const QRcode *code, FILE *out)
{
    for (int y = -QR_QUIET_ZONE; y < code->width + QR_QUIET_ZONE; y++) {
        for (int x = -QR_QUIET_ZONE; x < code->width + QR_QUIET_ZONE; x++)
            (void)fputs(is_dark(code, x, y) ? "\033[40m  " : "\033[107m  ", out);
        (void)fputs("\033[0m\n", out);
    }
}

static bool fits(const struct terminal *t, size_t columns, size_t rows)
{
    return columns <= t->width && (t->height == 0 || rows <= t->height);
}

bool qr_print(const struct terminal *t, const char *text, size_t lines, FILE *out)
{
    _cleanup_(qrcode_freep) QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (!code || !t->is_terminal)
        return false;

    size_t modules = (size_t)code->width + 2 * QR_QUIET_ZONE;
    if (t->is_utf8 && fits(t, modules, (modules + 1) / 2 + lines))
        print_half_blocks(t, code, out);
    else if (!t->is_utf8 && t->has_colours && fits(t, 2 * modules, modules + lines))
        print_cells(code, out);
    else
        return false;
    return true;
}

/* Five rows from the top, five bits each; the highest is on the left. */
static const unsigned char digits[][GLYPH_ROWS] = {
    {0x0e, 0x13, 0x15, 0x19, 0x0e}, {0x04, 0x0c, 0x04, 0x04, 0x0e}, {0x1e, 0x01, 0x0e, 0x10, 0x1f},
    {0x1e, 0x01, 0x0e, 0x01, 0x1e}, {0x12, 0x12, 0x1f, 0x02, 0x02}, {0x1f, 0x10, 0x1e, 0x01, 0x1e},
    {0x0e, 0x10, 0x1e, 0x11, 0x0e}, {0x1f, 0x01, 0x02, 0x04, 0x04}, {0x0e, 0x11, 0x0e, 0x11, 0x0e},
    {0x0e, 0x11, 0x0f, 0x01, 0x0e},
};

static const unsigned char letters[][GLYPH_ROWS] = {
    {0x0e, 0x11, 0x1f, 0x11, 0x11}, {0x1e, 0x11, 0x1e, 0x11, 0x1e}, {0x0f, 0x10, 0x10, 0x10, 0x0f},
    {0x1e, 0x11, 0x11, 0x11, 0x1e}, {0x1f, 0x10, 0x1e, 0x10, 0x1f}, {0x1f, 0x10, 0x1e, 0x10, 0x10},
    {0x0f, 0x10, 0x13, 0x11, 0x0f}, {0x11, 0x11, 0x1f, 0x11, 0x11}, {0x0e, 0x04, 0x04, 0x04, 0x0e},
    {0x03, 0x01, 0x01, 0x11, 0x0e}, {0x12, 0x14, 0x18, 0x14, 0x12}, {0x10, 0x10, 0x10, 0x10, 0x1f},
    {0x11, 0x1b, 0x15, 0x11, 0x11}, {0x11, 0x19, 0x15, 0x13, 0x11}, {0x0e, 0x11, 0x11, 0x11, 0x0e},
    {0x1e, 0x11, 0x1e, 0x10, 0x10}, {0x0e, 0x11, 0x15, 0x12, 0x0d}, {0x1e, 0x11, 0x1e, 0x12, 0x11},
    {0x0f, 0x10, 0x0e, 0x01, 0x1e}, {0x1f, 0x04, 0x04, 0x04, 0x04}, {0x11, 0x11, 0x11, 0x11, 0x0e},
    {0x11, 0x11, 0x11, 0x0a, 0x04}, {0x11, 0x11, 0x15, 0x1b, 0x11}, {0x11, 0x0a, 0x04, 0x0a, 0x11},
    {0x11, 0x0a, 0x04, 0x04, 0x04}, {0x1f, 0x02, 0x04, 0x08, 0x1f},
};

static const unsigned char hyphen[GLYPH_ROWS] = {0x00, 0x00, 0x0e, 0x00, 0x00};

/* A small letter has no glyph: to show it as a capital would be to show another code. */
static const unsigned char *glyph(char c)
{
    if (c >= '0' && c <= '9')
        return digits[c - '0'];
    if (c >= 'A' && c <= 'Z')
        return letters[c - 'A'];
    return c == '-' ? hyphen : NULL;
}

static bool has_glyphs(const char *code)
{
    for (; *code; code++)
        if (!glyph(*code))
            return false;
    return true;
}

static void print_spaced(const struct terminal *t, const char *code, FILE *out)
{
    (void)fprintf(out, "%*s%s", INDENT, "", terminal_colour(t, COLOUR_BOLD));
    uint32_t unused;
    for (size_t n; (n = text_next(code, &unused)) > 0; code += n)
        (void)fprintf(out, "%.*s ", (int)n, code);
    (void)fprintf(out, "%s\n", terminal_colour(t, COLOUR_PLAIN));
}

void qr_print_letters(const struct terminal *t, const char *code, FILE *out)
{
    if (!t->is_terminal || !has_glyphs(code) || INDENT + strlen(code) * (GLYPH_COLUMNS + 2) > t->width) {
        print_spaced(t, code, out);
        return;
    }
    for (int row = 0; row < GLYPH_ROWS; row++) {
        (void)fprintf(out, "%*s%s", INDENT, "", terminal_colour(t, COLOUR_BOLD));
        for (const char *c = code; *c; c++) {
            const unsigned char *rows = glyph(*c);
            for (int column = GLYPH_COLUMNS - 1; column >= 0; column--)
                (void)fputs(!rows || !(rows[row] >> column & 1) ? " " : t->is_utf8 ? "\u2588" : "#", out);
            (void)fputs("  ", out);
        }
        (void)fprintf(out, "%s\n", terminal_colour(t, COLOUR_PLAIN));
    }
}
