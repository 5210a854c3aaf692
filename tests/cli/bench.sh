# ldm bench: the figures are there.

works bench $TINY --rounds 2 --json
for k in ready_s eps_s first_eps_s decode_s peak_rss_bytes threads isa; do
    stdout_has "\"$k\": "
done
works bench $TINY --rounds 1 --threads 1 --batch 2
stdout_has '[0-9]'
works bench $TINY --rounds 1 --layers
stdout_has 'conv'
fails 1 "nothing.ckpt.*No such file" bench --ckpt nothing.ckpt --config "$CONFIG"
