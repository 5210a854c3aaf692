# SPDX-License-Identifier: MIT
# Reads the rows of `ldm help tables` (src/cli/overview.h) into arrays for the other scripts here.
# A program without commands has options alone: they belong to command 0.

BEGIN { FS = "\t"; commands = 0; topics = exits = variables = 0 }

# The text of a column: "\n", "\t" and "\\" undone.
function text(column,    out, c) {
    out = ""
    while (match(column, /\\[nt\\]/)) {
        c = substr(column, RSTART + 1, 1)
        out = out substr(column, 1, RSTART - 1) (c == "n" ? "\n" : c == "t" ? "\t" : "\\")
        column = substr(column, RSTART + 2)
    }
    return out column
}

# The same as one line.
function line(column,    out) {
    out = text(column)
    gsub(/\n/, " ", out)
    return out
}

# What an option does in a few words, for a menu: up to the first ";" or ":" followed by a blank.
function brief(help,    out) {
    out = line(help)
    sub(/[;:] .*/, "", out)
    sub(/\.$/, "", out)
    return out
}

# What kind of value an argument is: "files", "folders", or "" for others.
function kind(arg) {
    if (arg ~ /^DIR/) return "folders"
    if (arg ~ /^(FILE|IMAGE|OUT|SOCKET)/) return "files"
    return ""
}

# "npy" of FILE.npy.
function ending(arg) { return arg ~ /^[A-Z]+\.[a-z]+$/ ? substr(arg, index(arg, ".") + 1) : "" }

$1 == "program" { program = $2; version = $3; summary = text($4); about[0] = text($5) }
$1 == "exit" { exit_code[++exits] = $2; exit_text[exits] = text($3) }
$1 == "variable" { variable[++variables] = $2; variable_value[variables] = $3; variable_text[variables] = text($4) }
$1 == "topic" { topic[++topics] = $2; topic_text[topics] = text($3) }
$1 == "command" {
    command[++commands] = $2
    args[commands] = text($3); command_summary[commands] = text($4)
    about[commands] = text($5); notes[commands] = text($6)
    delegate[commands] = $7 # the program that has its options
}
$1 == "heading" || $1 == "option" {
    n = ++rows[commands]
    is_heading[commands, n] = $1 == "heading"
    if ($1 == "heading") { name[commands, n] = text($2); next }
    letter[commands, n] = $2; name[commands, n] = $3; arg[commands, n] = text($4)
    choices[commands, n] = $5; repeatable[commands, n] = $6; help[commands, n] = $7
}
