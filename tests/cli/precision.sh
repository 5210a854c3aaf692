# SPDX-License-Identifier: MIT
# --precision everywhere: auto says what it took; bf16 works, or is one clear refusal. Without the
# instructions in the processor the parts that need them are left out.

# Capped, so that no processor has it: the same in every build.
export LDM_MAX_ISA=avx2
lacks='precision bf16 needs AVX512_BF16, which this processor \(.*, (avx2|c)\) lacks'
for command in "generate -n 1 --out x" "eval --part unet --in x.npy --t 5 --out y.npy" "bench" \
    "compare -n 1 --out x"; do
    [ -e x.npy ] || npy x.npy '(1, 3, 16, 16)' 3072
    fails 1 "^ldm [a-z]+: $lacks.* use precision f32$" $command --precision bf16
done
works generate $TINY -n 1 --steps 2 --precision auto --out auto.png
stderr_has "^ldm generate: note: precision auto takes f32: $lacks"
works generate $TINY -n 1 --steps 2 --out f32.png
same auto.png f32.png
works bench $TINY --rounds 1 --precision auto --json
stdout_has '"precision": "f32"'
stdout_lacks 'against_f32'
unset LDM_MAX_ISA

ldm generate --model demo -n 1 --steps 2 --precision bf16 --out bf16.png
if [ "$CODE" -ne 0 ]; then
    skipped "bf16: $(cat "$ERR")"
    stderr_has "$lacks|oneDNN makes no use|the compiler of this build"
    return 0
fi

# The recipe names what was computed with, and --like and --resume hold to it.
works generate --model demo -n 1 --steps 2 --precision auto --out auto2.png
stderr_has '^ldm generate: note: precision auto takes bf16, by (AVX512_BF16|AMX_BF16 through oneDNN 3\.[0-9.]+)$'
same auto2.png bf16.png
works generate --model demo --like bf16.png --out again.png
same_pixels again.png bf16.png
works generate --model demo -n 1 --steps 2 --out plain.png
differ plain.png bf16.png
works generate --model demo -n 2 --steps 2 --precision bf16 --threads 1 --batch 1 --out one
works generate --model demo -n 2 --steps 2 --precision bf16 --threads 3 --batch 2 --out two
same_pixels one/00000.png two/00000.png
same_pixels one/00001.png two/00001.png
works generate --model demo -n 2 --steps 2 --precision auto --out one --resume
ldm generate --model demo -n 2 --steps 2 --out one --resume
stderr_has 'of another run .precision: "bf16" there, "f32" here.'

# What it costs and gains, as the documentation quotes it.
works bench --model demo --precision bf16 --rounds 2 --steps 4
stdout_has '^bf16 against f32, in turn: 2 evaluations, 1 picture of 4 steps; medians$'
stdout_has '^  eps faster by +[0-9.]+x'
stdout_has '^  eps, relative L2 +0\.0[0-9]+ '
stdout_has '^  latent, relative L2 +0\.0[0-9]+$'
works bench --model demo --precision bf16 --rounds 2 --steps 4 --seeds 2 --json
for k in against_f32 eps_relative_l2 eps_speedup latent_relative_l2 picture_psnr_db weight_bytes; do
    stdout_has "\"$k\": "
done
stdout_has '"precision": "bf16"'
