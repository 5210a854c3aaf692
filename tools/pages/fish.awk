# SPDX-License-Identifier: MIT
# A completion for fish.

# Text inside single quotes.
function shell(s) { gsub(/\\/, "\\\\", s); gsub(/'/, "\\'", s); return s }

function option(c, i,    s, words) {
    s = "complete -c " program
    if (commands) s = s " -n '__fish_seen_subcommand_from " command[c] "'"
    if (letter[c, i] != "") s = s " -s " letter[c, i]
    if (name[c, i] != "") s = s " -l " name[c, i]
    words = choices[c, i]
    gsub(/[|]/, " ", words)
    if (words != "") s = s " -x -a '" shell(words) "'"
    else if (kind(arg[c, i]) == "folders") s = s " -x -a '(__fish_complete_directories)'"
    else if (ending(arg[c, i]) != "") s = s " -x -a '(__fish_complete_suffix ." ending(arg[c, i]) ")'"
    else if (kind(arg[c, i]) == "files") s = s " -r -F"
    else if (arg[c, i] != "") s = s " -x"
    print s " -d '" shell(brief(help[c, i])) "'"
}

END {
    print "# Completion of " program " for fish; made by tools/make_pages.sh from the tables of the program."
    if (commands) {
        print "complete -c " program " -n __fish_use_subcommand -f"
        for (c = 1; c <= commands; c++)
            printf "complete -c %s -n __fish_use_subcommand -a %s -d '%s'\n", program, command[c], shell(command_summary[c])
        printf "complete -c %s -n __fish_use_subcommand -a help -d 'explains a command'\n", program
        printf "complete -c %s -n __fish_use_subcommand -l version -s V -d 'prints the version'\n", program
        printf "complete -c %s -n __fish_use_subcommand -l help -s h -d 'the help text'\n", program
        for (c = 1; c <= commands; c++)
            printf "complete -c %s -n '__fish_seen_subcommand_from help' -f -a %s -d '%s'\n", program, command[c], shell(command_summary[c])
        for (i = 1; i <= topics; i++)
            printf "complete -c %s -n '__fish_seen_subcommand_from help' -f -a %s -d '%s'\n", program, topic[i], shell(topic_text[i])
    }
    for (c = 1; c <= commands; c++)
        if (delegate[c] != "") # "ldm serve --p": as "ldm-server --p"
            printf "complete -c %s -n '__fish_seen_subcommand_from %s' -f -a '(complete -C \"%s \"(string join -- \" \" (commandline -opc)[3..-1] (commandline -ct)))'\n", program, command[c], delegate[c]
    for (c = commands ? 1 : 0; c <= commands; c++)
        for (i = 1; i <= rows[c]; i++)
            if (!is_heading[c, i]) option(c, i)
}
