# SPDX-License-Identifier: MIT
# complete.zsh FOLDER LINE...: what zsh offers at Tab after each line, one line of words each, with the completions in
# FOLDER. A shell on a terminal of its own is typed at; in it compadd, by which completions offer words, also
# writes them down.
zmodload zsh/zpty
folder=$1
shift
zpty -b shell zsh -f -i
zpty -w shell "PROMPT= RPROMPT=; stty -echo; fpath=($folder \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w shell 'compadd() {
    local -a offered
    [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] || { builtin compadd -A offered "$@"; print -rl -- $offered >>offered }
    builtin compadd "$@"
}'
zpty -w shell 'finish() { compprefuncs=(); comppostfuncs=(finish); compstate[insert]= compstate[list]=; : >finished }
comppostfuncs=(finish); bindkey "^I" complete-word; bindkey "^U" kill-whole-line; : >finished'
wait_for() {
    local i
    for i in {1..300}; do
        [[ -e $1 ]] && { rm -f $1; return }
        zpty -rt shell REPLY || sleep 0.1
    done
    print "zsh says nothing: $REPLY"
    exit 1
}
wait_for finished
for line in "$@"; do
    : >offered
    zpty -wn shell "$line"$'\t'
    wait_for finished
    zpty -wn shell $'\x15'
    print -r -- ${(ou)$(<offered)}
done
zpty -d shell
rm -f offered
