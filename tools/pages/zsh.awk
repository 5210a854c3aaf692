# SPDX-License-Identifier: MIT
# A completion for zsh.

# Text inside single quotes.
function shell(s) { gsub(/'/, "'\\''", s); return s }

# Text inside the brackets or between the colons of a spec of _arguments.
function spec(s) { gsub(/\\/, "\\\\", s); gsub(/\[/, "\\[", s); gsub(/\]/, "\\]", s); gsub(/:/, "\\:", s); return shell(s) }

function action(c, i,    words) {
    if (arg[c, i] == "") return ""
    words = choices[c, i]
    gsub(/[|]/, " ", words)
    if (words != "") return ":" spec(arg[c, i]) ":(" shell(words) ")"
    if (kind(arg[c, i]) == "folders") return ":" spec(arg[c, i]) ":_files -/"
    if (ending(arg[c, i]) != "") return ":" spec(arg[c, i]) ":_files -g \"*." ending(arg[c, i]) "\""
    if (kind(arg[c, i]) == "files") return ":" spec(arg[c, i]) ":_files"
    return ":" spec(arg[c, i]) ": "
}

# --steps 4 and --steps=4.
function long(c, i) { return "--" name[c, i] (arg[c, i] != "" ? "=" : "") }

function option(c, i,    both, rest, again) {
    again = repeatable[c, i] == 1 ? "*" : ""
    rest = "[" spec(brief(help[c, i])) "]" action(c, i) "'"
    both = letter[c, i] != "" && name[c, i] != ""
    if (both && again == "")
        return "'(-" letter[c, i] " --" name[c, i] ")'{-" letter[c, i] "," long(c, i) "}'" rest
    if (both) return "'*'{-" letter[c, i] "," long(c, i) "}'" rest
    return "'" again (name[c, i] != "" ? long(c, i) : "-" letter[c, i]) rest
}

function arguments(c, indent,    i) {
    printf "%s_arguments -s -S \\\n", indent
    for (i = 1; i <= rows[c]; i++)
        if (!is_heading[c, i]) printf "%s    %s \\\n", indent, option(c, i)
    printf "%s    '*:file:_files'\n", indent
}

END {
    fn = "_" program
    print "#compdef " program
    print "# Completion of " program " for zsh; made by tools/make_pages.sh from the tables of the program.\n"
    print fn "() {"
    if (!commands)
        arguments(0, "    ")
    else {
        print "    local -a commands topics general\n    commands=("
        for (c = 1; c <= commands; c++) printf "        '%s:%s'\n", command[c], spec(command_summary[c])
        print "        'help:explains a command'\n    )\n    topics=("
        for (i = 1; i <= topics; i++) printf "        '%s:%s'\n", topic[i], spec(topic_text[i])
        print "    )\n    general=('--help:the help text' '--version:prints the version')"
        print "    if ((CURRENT == 2)); then\n        [[ $words[2] == -* ]] && _describe -o option general && return\n        _describe -t commands command commands"
        print "        return\n    fi\n    local command=$words[2]\n    shift words\n    ((CURRENT--))\n    case $command in"
        for (c = 1; c <= commands; c++) {
            printf "    %s)\n", command[c]
            if (delegate[c] != "")
                printf "        words[1]=%s\n        (( $+functions[_%s] )) && _%s || _files\n", delegate[c], delegate[c], delegate[c]
            else
                arguments(c, "        ")
            print "        ;;"
        }
        print "    help)\n        ((CURRENT == 2)) && _describe -t commands command commands -- topics\n        ;;\n    esac"
    }
    print "}\n\n" fn " \"$@\""
}
