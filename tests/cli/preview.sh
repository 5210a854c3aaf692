# SPDX-License-Identifier: MIT
# ldm generate --preview: what the pictures look like so far, on a terminal.

RUN="generate $TINY --steps 5 --quiet -n 2"
escape=$(printf '\033')
works $RUN -o plain
works $RUN --preview 2 --preview-as blocks -o shown
same_folder plain shown # the pictures are not touched by it
[ "$(grep -c '▀' "$ERR")" -eq $((3 * 8)) ] || die "expected 3 drawings of 8 rows"
stderr_has "^$escape\[8A"
works $RUN --preview 6 --preview-as blocks -o one
[ "$(grep -c '▀' "$ERR")" -eq 8 ] || die "expected one drawing"
works $RUN --preview 3 --preview-as blocks --preview-decode -o sharp
[ "$(grep -c '▀' "$ERR")" -eq $((2 * 32)) ] || die "expected two drawings of 32 rows"
same_folder plain sharp
works $RUN --preview 6 --preview-as kitty -o k
stderr_has "${escape}_Ga=T,f=24,i=1,q=2,C=1,r=12,s=33,v=16,m=0;"
works $RUN --preview 6 --preview-as iterm2 -o i
stderr_has "${escape}\]1337;File=inline=1;size=[0-9]+;height=12;doNotMoveCursor=1:iVBORw0KGgo"
works $RUN --preview 6 --preview-as sixel -o s
stderr_has "${escape}Pq\"1;1;330;160#0;2;0;0;0"
# Without a terminal nothing is drawn, and with --quiet nothing on one unless it is asked for.
works generate $TINY --steps 4 --preview 2 -o n.png
stderr_lacks '▀'
fails 2 "preview-as: 'ansi' is not one of" $RUN --preview 2 --preview-as ansi -o no
