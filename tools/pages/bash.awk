# SPDX-License-Identifier: MIT
# A completion for bash.

function spelled(c, i,    s) {
    s = letter[c, i] != "" ? "-" letter[c, i] : ""
    return s (s != "" && name[c, i] != "" ? " " : "") (name[c, i] != "" ? "--" name[c, i] : "")
}

# "generate:--ckpt|generate:-o", the pattern of an option of a command.
function pattern(c, i,    s) {
    s = letter[c, i] != "" ? "'" command[c] ":-" letter[c, i] "'" : ""
    return s (s != "" && name[c, i] != "" ? "|" : "") (name[c, i] != "" ? "'" command[c] ":--" name[c, i] "'" : "")
}

function words_of(c,    s, i) {
    s = ""
    for (i = 1; i <= rows[c]; i++)
        if (!is_heading[c, i]) s = s (s == "" ? "" : " ") spelled(c, i)
    return s
}

function value_of(c, i,    words) {
    if (arg[c, i] == "") return
    printf "    %s)\n", pattern(c, i)
    if (choices[c, i] != "") {
        words = choices[c, i]
        gsub(/[|]/, " ", words)
        printf "        mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")\n", words
    } else if (kind(arg[c, i]) == "folders")
        print "        compopt -o filenames 2>/dev/null\n        mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")"
    else if (kind(arg[c, i]) == "files")
        print "        compopt -o filenames 2>/dev/null\n        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")"
    print "        return ;;"
}

# The completion of another program lies beside this one.
function delegated(c,    other) {
    other = delegate[c]
    gsub(/-/, "_", other)
    print "    if [[ $command == " command[c] " ]]; then"
    print "        # shellcheck disable=SC1090,SC1091"
    print "        declare -F _" other " >/dev/null || . \"${BASH_SOURCE[0]%/*}/" delegate[c] "\" 2>/dev/null || return"
    print "        COMP_WORDS=(" delegate[c] " \"${COMP_WORDS[@]:2}\")\n        COMP_CWORD=$((COMP_CWORD - 1))"
    print "        _" other "\n        return\n    fi"
}

END {
    fn = program
    gsub(/-/, "_", fn)
    print "# Completion of " program " for bash; made by tools/make_pages.sh from the tables of the program."
    print "_" fn "()\n{"
    print "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=\n    COMPREPLY=()"
    print "    # bash splits --option=value at the sign"
    print "    if [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; elif [[ $cur == = ]]; then cur=; fi"
    if (commands) {
        all = "help --help --version"
        for (i = 1; i <= commands; i++) all = all " " command[i]
        print "    if ((COMP_CWORD == 1)); then"
        printf "        mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")\n        return\n    fi\n", all
        print "    command=${COMP_WORDS[1]}"
        print "    if [[ $command == help ]]; then"
        all = ""
        for (i = 1; i <= commands; i++) all = all (all == "" ? "" : " ") command[i]
        for (i = 1; i <= topics; i++) all = all " " topic[i]
        printf "        mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")\n        return\n    fi\n", all
    }
    for (c = 1; c <= commands; c++)
        if (delegate[c] != "") delegated(c)
    print "    case $command:$prev in"
    for (c = commands ? 1 : 0; c <= commands; c++)
        for (i = 1; i <= rows[c]; i++)
            if (!is_heading[c, i]) value_of(c, i)
    print "    esac\n    case $command:$cur in"
    for (c = commands ? 1 : 0; c <= commands; c++)
        printf "    '%s:-'*) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\") ;;\n", command[c], words_of(c)
    print "    *)\n        compopt -o filenames 2>/dev/null\n        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;"
    print "    esac\n}\ncomplete -F _" fn " " program
}
