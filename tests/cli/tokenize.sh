# SPDX-License-Identifier: MIT
# ldm tokenize: ids and pieces of a text. With small vocabularies made for the tests; those of the
# published models are compared in tokenize_golden_test.
DATA=$SRC/tests/data/tokenize

works tokenize --kind clip --vocab "$DATA/merges.txt" 'Hello  the CAT'
stdout_is '  536  <|startoftext|>
  516  hello</w>
  520  the</w>
  518  cat</w>
  537  <|endoftext|>
  537  <|endoftext|>  (padding, 72 times)'
stderr_empty
cp "$OUT" typed
printf 'Hello  the CAT\n' | "$LDM" tokenize --kind clip --vocab "$DATA/merges.txt" - >piped 2>"$ERR" || die "no text of stdin"
same typed piped
works tokenize --kind openclip --vocab "$DATA" 'cat'
stdout_is '  536  <|startoftext|>
  518  cat</w>
  537  <|endoftext|>
    0  !  (padding, 74 times)'
works tokenize 'Playing!' --vocab "$DATA" --kind bert
stdout_is '    3  [CLS]
   17  play
   16  ##ing
    6  !
    4  [SEP]
    0  [PAD]  (padding, 72 times)'
works tokenize --kind clip --vocab "$DATA" ''
stdout_has 'padding, 75 times'
works tokenize --kind clip --vocab "$DATA" -- '--kind'
stdout_has '  k$'

# Repairs: with ftfy, and as without it. é is C3 A9, mojibake of it four bytes.
works tokenize --kind clip --vocab "$DATA" 'cafÃ©'
stdout_has '  517  ca$'
stdout_has '  358  ©</w>$'
cp "$OUT" mended
works tokenize --kind clip --vocab "$DATA" 'café'
same "$OUT" mended
works tokenize --kind clip --vocab "$DATA" --no-ftfy 'cafÃ©'
differ "$OUT" mended

works tokenize --kind clip --vocab "$DATA" --json "cat's"
stdout_has '^  "kind": "clip",'
stdout_has '/tests/data/tokenize/vocab.json",'
stdout_has "^  \"text\": \"cat's\","
stdout_has '^  "used": 4,'
stdout_has '^  "needed": 4,'
stdout_has '^  "cut": false$'
[ "$(grep -cE '^    [0-9]+,?$' "$OUT")" -eq 77 ] || die "77 ids expected"

# What is cut is said.
long=$(printf 'cat %.0s' $(seq 80))
works tokenize --kind clip --vocab "$DATA" "$long"
stderr_has '^ldm tokenize: note: the text is cut: it has 80 tokens, and there is room for 75$'
stdout_lacks padding
[ "$(wc -l <"$OUT")" -eq 77 ] || die "77 lines expected"
works tokenize --kind bert --vocab "$DATA" --json "$long"
stdout_has '^  "needed": 82,'
stdout_has '^  "cut": true$'
works tokenize --kind clip --vocab "$DATA" "$(head -c 100000 /dev/zero | tr '\0' a)"
stderr_has 'the text is cut: it has [0-9]+ tokens'

# Packed, and by --ckpt: the vocabulary beside the checkpoint takes precedence over the installed one.
mkdir beside
gzip -c "$DATA/merges.txt" >beside/bpe_simple_vocab_16e6.txt.gz
works tokenize --kind clip --ckpt beside/model.ckpt --json 'cat'
stdout_has '"vocab": "beside/bpe_simple_vocab_16e6.txt.gz"'
works tokenize --kind openclip --ckpt beside 'cat'
stdout_has '  518  cat</w>$'
(cd beside && "$LDM" tokenize --kind clip --ckpt model.ckpt cat >"$OUT") || die "a checkpoint without a folder"
stdout_has '  518  cat</w>$'

# The folder of data, beside a program that lies elsewhere.
mkdir -p inst/bin inst/share/ldmc/vocab
cp "$LDM" inst/bin/ldm
cp "$DATA/vocab.txt" inst/share/ldmc/vocab
inst/bin/ldm tokenize --kind bert --json cat >"$OUT" 2>"$ERR" || die "an installed vocabulary is not found"
stdout_has 'inst/share/ldmc/vocab/vocab.txt"'
rm -r inst beside

# Wrong usage and wrong files.
fails 2 '--kind is missing' tokenize cat
fails 2 "'t5' is not one of" tokenize --kind t5 cat
fails 2 'TEXT is missing|is missing' tokenize --kind clip
fails 2 "unexpected argument 'b'" tokenize --kind clip a b
fails 2 'the text is no UTF-8: byte 2 is 0xff' tokenize --kind clip --vocab "$DATA" "$(printf 'ab\377')"
fails 1 'cannot open none' tokenize --kind clip --vocab none cat
fails 1 'the folder has no bpe_simple_vocab_16e6.txt.gz and no vocab.json' tokenize --kind clip --vocab . cat
fails 1 'has no <\|startoftext\|>|no merges|expected two symbols' tokenize --kind clip --vocab "$DATA/vocab.txt" cat
fails 1 'expected BERT.s list of words' tokenize --kind bert --vocab "$DATA/merges.txt" cat
ldm tokenize --kind clip --vocab none --json cat
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '"error": "cannot open none'
cp "$DATA/vocab.json" lonely.json
fails 1 'lonely.json needs merges.txt beside it' tokenize --kind clip --vocab lonely.json cat
printf '\037\213\010broken gzip file, which ends here' >broken.gz
fails 1 'broken.gz' tokenize --kind clip --vocab broken.gz cat

# Without a vocabulary the message names the command that gets it.
if [ ! -e "$SRC/build/vocab/vocab.txt" ]; then
    fails 1 'no vocabulary for bert text \(vocab.txt\).*`make vocab` gets it' tokenize --kind bert cat
fi

# A text of several words without quotes.
fails 2 "unexpected argument 'world'; a text of several words stands in quotes: \"hello world\" " tokenize --kind clip hello world
fails 2 'in quotes: "a red [.]{3}" ' tokenize --kind clip a red hat
fails 2 "unexpected argument 'red'; .* in quotes: --prompt \"a red [.]{3}\" " generate --prompt a red hat
fails 2 "unexpected argument 'hat'; .* in quotes: --negative \"a hat [.]{3}\" " generate --negative a hat -o x.png
fails 2 "unexpected argument 'red'; .* in quotes: --prompt" interpolate 1 2 --prompt a red hat -o x.png
