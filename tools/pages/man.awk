# SPDX-License-Identifier: MIT
# Manual pages: FOLDER/PROGRAM.1, and one page a command.

# Text that troff prints as it stands.
function quoted(s) {
    gsub(/\\/, "\\e", s)
    gsub(/-/, "\\-", s)
    gsub(/'/, "\\(aq", s)
    gsub(/`/, "\\(ga", s)
    gsub(/\^/, "\\(ha", s)
    gsub(/~/, "\\(ti", s)
    if (s ~ /^\./) s = "\\&" s
    return s
}

# Paragraphs: lines that begin with two blanks are examples, others flow.
function prose(s, file,    lines, n, i, example) {
    n = split(s, lines, "\n")
    for (i = 1; i <= n; i++) {
        if (lines[i] ~ /^  / && !example) { print ".PP\n.EX" > file; example = 1 }
        if (lines[i] == "") {
            if (example) { print ".EE" > file; example = 0 }
            if (i < n && lines[i + 1] !~ /^  /) print ".PP" > file
            continue
        }
        if (example && lines[i] !~ /^  /) { print ".EE\n.PP" > file; example = 0 }
        print quoted(lines[i]) > file
    }
    if (example) print ".EE" > file
}

function top(title, file) {
    printf ".\\\" Made by tools/make_pages.sh from the tables of the program.\n" > file
    printf ".TH \"%s\" 1 \"\" \"%s %s\" \"User Commands\"\n", quoted(toupper(title)), program, version > file
    print ".nh\n.ad l" > file
}

function option(c, i, file,    s) {
    print ".TP" > file
    s = ""
    if (letter[c, i] != "") s = "\\fB\\-" quoted(letter[c, i]) "\\fR"
    if (name[c, i] != "") s = s (s == "" ? "" : ", ") "\\fB\\-\\-" quoted(name[c, i]) "\\fR"
    if (arg[c, i] != "") s = s " \\fI" quoted(arg[c, i]) "\\fR"
    print s > file
    print quoted(line(help[c, i])) > file
    if (choices[c, i] != "") {
        s = choices[c, i]
        gsub(/[|]/, ", ", s)
        print ".br\nOne of: " quoted(s) "." > file
    }
}

function options(c, file,    i, title) {
    if (!rows[c]) return
    print ".SH OPTIONS" > file
    for (i = 1; i <= rows[c]; i++) {
        if (is_heading[c, i]) {
            title = quoted(name[c, i])
            gsub(/"/, "\\(dq", title)
            print ".SS \"" title "\"" > file
        }
        else option(c, i, file)
    }
}

function status(file,    i) {
    print ".SH EXIT STATUS" > file
    for (i = 1; i <= exits; i++) printf ".TP\n%s\n%s\n", exit_code[i], quoted(exit_text[i]) > file
}

function environment(file,    i) {
    if (!variables) return
    print ".SH ENVIRONMENT" > file
    for (i = 1; i <= variables; i++)
        printf ".TP\n.BR %s =\\fI%s\\fR\n%s\n", variable[i], quoted(variable_value[i]), quoted(variable_text[i]) > file
}

function others(c, file,    i, first) {
    print ".SH SEE ALSO" > file
    if (c) printf ".BR %s (1)", program > file
    first = !c
    for (i = 1; i <= commands; i++) {
        if (i == c) continue
        printf "%s.BR %s\\-%s (1)", (first ? "" : ",\n"), program, command[i] > file
        first = 0
    }
    print "" > file
}

function command_page(c,    file) {
    file = folder "/" program "-" command[c] ".1"
    top(program "-" command[c], file)
    printf ".SH NAME\n%s\\-%s \\- %s\n", program, command[c], quoted(command_summary[c]) > file
    printf ".SH SYNOPSIS\n.B %s %s\n%s\n.SH DESCRIPTION\n", program, command[c], quoted(args[c]) > file
    prose(about[c], file)
    options(c, file)
    if (notes[c] != "") {
        print ".SH NOTES" > file
        prose(notes[c], file)
    }
    status(file)
    environment(file)
    others(c, file)
    close(file)
}

END {
    main = folder "/" program ".1"
    top(program, main)
    printf ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", quoted(program), quoted(summary) > main
    if (commands) {
        for (i = 1; i <= commands; i++)
            printf ".B %s %s\n%s\n.br\n", program, command[i], quoted(args[i]) > main
        printf ".B %s help\n[\\fICOMMAND\\fR", program > main
        for (i = 1; i <= topics; i++) printf "|%s", topic[i] > main
        printf "]\n.br\n.B %s \\-\\-version\n", program > main
    } else
        printf ".B %s\n[options]\n", quoted(program) > main
    print ".SH DESCRIPTION" > main
    prose(about[0], main)
    if (commands) {
        print ".SH COMMANDS" > main
        for (i = 1; i <= commands; i++)
            printf ".TP\n.BR %s\\-%s (1)\n%s\n", program, command[i], quoted(command_summary[i]) > main
        for (i = 1; i <= topics; i++)
            printf ".TP\n.B %s help %s\n%s\n", program, topic[i], quoted(topic_text[i]) > main
    }
    options(0, main)
    status(main)
    environment(main)
    if (commands) others(0, main)
    close(main)
    for (i = 1; i <= commands; i++) command_page(i)
}
