/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lwactl: the broker's command line. Each command is a file of its own, with its options; this one finds the
 * command and shows the help. Exit codes and what errors mean: client/lwactl/outcome.c. */

#include "autoconf.h"

#include "client/lwactl/completion.h"
#include "client/lwactl/options.h"
#include "client/lwactl/outcome.h"
#include "client/lwactl/terminal.h"

#include <locale.h>
#include <string.h>

static const struct command *const commands[] = {
    &command_login,   &command_accounts, &command_token,  &command_check,  &command_explain,
    &command_consent, &command_plan,     &command_who,    &command_revoke, &command_reload,
    &command_policy,  &command_status,   &command_doctor, &command_audit,  &command_rekey,
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(const char *word)
{
    const char *names[ARRAY_SIZE(commands) + 1];
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        names[i] = commands[i]->name;
    names[ARRAY_SIZE(commands)] = "help";
    return options_unknown(NULL, "command ", word, names, ARRAY_SIZE(names));
}

static int unknown_option(const char *word)
{
    static const char *const names[] = {"help", "version"};
    return options_unknown(NULL, "option --", word + strspn(word, "-"), names, ARRAY_SIZE(names));
}

static void print_help(void)
{
    (void)printf("Usage: lwactl COMMAND [OPTION]...\n"
                 "       lwactl help [COMMAND]\n"
                 "       lwactl --version\n"
                 "\n"
                 "Asks lwa-brokerd, which keeps this device's Login with Amazon, over the system bus.\n"
                 "\n"
                 "Commands:\n");
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        (void)printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    (void)printf("  %-10s %s\n", "help", "Show this help, or a command's");
    (void)printf("\n"
                 "Options:\n"
                 "  --help     show this help\n"
                 "  --version  show the version\n"
                 "\n"
                 "Exit codes:\n");
    for (int i = 0; i < CTL_CODE_COUNT; i++)
        (void)printf("  %2d  %s\n", i, outcome_code_text(i));
}

static int run_help(int argc, char **argv)
{
    if (argc > 2)
        return options_usage(NULL, "help takes one command");
    if (argc < 2) {
        print_help();
        return CTL_OK;
    }
    const struct command *command = find_command(argv[1]);
    if (!command)
        return unknown_command(argv[1]);
    options_help(command, stdout);
    return CTL_OK;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct arguments arguments;
    int r = options_parse(command, argc, argv, &arguments);
    if (r != CTL_OK)
        return r;
    if (arguments.given[OPTION_HELP]) {
        options_help(command, stdout);
        return CTL_OK;
    }
    return command->run(command, &arguments);
}

static int run(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word)
        return options_usage(NULL, "no command is given");
    if (strcmp(word, "--version") == 0) {
        (void)printf("lwactl %s\n", PACKAGE_VERSION);
        return CTL_OK;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return run_help(argc - 1, argv + 1);
    if (strcmp(word, "completion") == 0)
        return completion_run(argc - 1, argv + 1, commands, ARRAY_SIZE(commands));
    if (*word == '-')
        return unknown_option(word);

    const struct command *command = find_command(word);
    return command ? run_command(command, argc - 1, argv + 1) : unknown_command(word);
}

int main(int argc, char **argv)
{
    terminal_prepare();
    (void)setlocale(LC_CTYPE, "");
    return terminal_finish(run(argc, argv));
}
