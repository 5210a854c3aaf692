# SPDX-License-Identifier: MIT
# Help and version: on stdout, exit code 0, nothing on stderr.

works --version
stdout_has '^ldm [0-9]+\.[0-9]+\.[0-9]+$'
stderr_empty

works --help
stderr_empty
cp "$OUT" overview
for c in generate check inspect eval metrics bench tokenize; do
    grep -q "^  $c " overview || die "$c is not in ldm --help"
    works $c --help
    stderr_empty
    stdout_has "^usage: ldm $c "
    stdout_has '^  -h, --help '
    cp "$OUT" help
    works help $c
    same "$OUT" help
    works $c -h
    same "$OUT" help
    # Lines fit a terminal.
    awk 'length($0) > 100 { exit 1 }' help || die "a line of ldm $c --help is too long"
done
works help
same "$OUT" overview
works --help generate
cp "$OUT" help
works generate --help
same "$OUT" help

# The samplers: every one that --sampler takes, and within a terminal's width.
works help samplers
stderr_empty
for s in ddim plms ddpm 'dpm-solver[+][+]' euler euler_a heun dpm2 dpm2_a lms dpmpp_2m dpmpp_2m_sde \
    dpmpp_sde unipc deis lcm; do
    stdout_has "^$s: "
done
awk 'length($0) > 100 { exit 1 }' "$OUT" || die "a line of ldm help samplers is too long"

# Help goes before what else is on the line.
works generate --help --steps 5

works generate --help
for o in ckpt config set steps timesteps eta temperature scale cond mask x0 quantize-x0 seed batch \
    shape ema no-ema no-quantize x-t noise save-latent save-image grid npz threads max-memory like \
    precision json; do
    stdout_has "^  (-., )?--$o( |\$)"
done
stdout_has '^  -n, '
stdout_has '^  -o, '
works check --help
for o in ckpt config set all values json ema no-ema; do stdout_has "^  --$o( |\$)"; done
works eval --help
for o in ckpt config set part in t context ema no-ema dump threads; do
    stdout_has "^  --$o( |\$)"
done
works bench --help
for o in ckpt config set json rounds threads batch layers; do stdout_has "^  --$o( |\$)"; done
