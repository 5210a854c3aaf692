# SPDX-License-Identifier: MIT
# ldm generate --sampler: names, what a sampler takes, and that pictures depend on their seed alone.

RUN="generate $TINY --steps 5 --quiet"
works help samplers
SAMPLERS=$(sed -n 's/^\([a-z0-9_+-]*\): .*/\1/p' "$OUT")
[ "$(echo "$SAMPLERS" | wc -l)" -gt 20 ] || die "samplers: $SAMPLERS"

# Every sampler: each picture has the same bytes in a batch and alone, with --cache as well, and the
# recipe gives it back.
for s in $SAMPLERS; do
    works $RUN --sampler "$s" -n 3 -o "$s" --batch 3 --threads 2
    works $RUN --sampler "$s" --seed 44 -o one.png --threads 1
    same_pixels one.png "$s/00002.png"
    works $RUN --sampler "$s" --cache 2 -n 2 -o "cached.$s" --batch 2
    works $RUN --sampler "$s" --cache 2 --seed 43 -o one.png
    same_pixels one.png "cached.$s/00001.png"
    works generate $TINY --like "$s/00001.png" -o one.png --quiet
    same_pixels one.png "$s/00001.png"
done
for s in ddpm euler heun dpmpp_sde unipc; do
    differ "$s/00000.png" ddim/00000.png
done

# Names of other programs, in any case; a spacing may follow.
works generate $TINY --steps 5 --sampler "DPM++ 2M Karras" -o one.png
stderr_has '5 steps: sampler dpmpp_2m, timesteps karras$'
works $RUN --sampler dpmpp_2m --timesteps karras -o two.png
same_pixels one.png two.png
works generate $TINY --steps 5 --sampler "Euler a" -o one.png
stderr_has '5 steps: sampler euler_a, timesteps discrete, eta 1'
same_pixels one.png euler_a/00000.png
works $RUN --sampler euler_a --eta 0 -o two.png
same_pixels two.png euler/00000.png

# What does not go together.
fails 2 "sampler plms takes no eta; samplers that do: ddim, " $RUN --sampler plms --eta 0.5
fails 2 "sampler heun takes no temperature" $RUN --sampler heun --temperature 0.9
fails 2 "sampler euler takes no quantize_x0" $RUN --sampler euler --quantize-x0
fails 2 "sampler ddim does not run with timestep spacing karras, expected one of: compvis" \
    $RUN --sampler ddim --timesteps karras
fails 2 "zero terminal SNR: at timestep 999" $RUN --timesteps trailing --zero-snr
fails 2 "zero terminal SNR: at timestep 999" $RUN --sampler euler --timesteps trailing --zero-snr
fails 2 "sampler ddim takes no solver; samplers that do: dpmpp_2m_diffusers" $RUN --solver heun
fails 2 "sampler unipc has no solver heun, expected bh1 or bh2" $RUN --sampler unipc --solver heun
fails 2 "solver bh1 divides" $RUN --sampler unipc --solver bh1 --final-sigma zero
fails 2 "sampler euler takes no final_sigma" $RUN --sampler euler --final-sigma least
fails 2 "sampler euler takes no lower_order_final" $RUN --sampler euler --no-lower-order-final
fails 2 "--sampler: 'ddimm' is not a sampler \(.ldm help samplers. lists them\); did you mean ddim[?]" $RUN --sampler ddimm
for s in 'DPM fast=dpm-solver[+]{2}' 'DPM adaptive=dpm-solver[+]{2}' 'Restart=heun' 'ipndm=plms' \
    'DPM++ 2M SDE Heun=dpmpp_2m_sde' 'dpm_fast=dpm-solver[+]{2}'; do
    fails 2 "is not a sampler .*; did you mean ${s#*=}[?]" $RUN --sampler "${s%=*}"
done
works generate $TINY --steps 5 --sampler dpmpp_2m_sde_gpu -o gpu.png
stderr_has "other programs' spellings: --sampler dpmpp_2m_sde_gpu is --sampler dpmpp_2m_sde$"
same_pixels gpu.png dpmpp_2m_sde/00000.png

# Forms of a method change its pictures, and recipes keep them.
works $RUN --sampler dpmpp_2m_diffusers --solver heun --no-lower-order-final --final-sigma least -o form.png
differ form.png dpmpp_2m_diffusers/00000.png
works generate $TINY --like form.png -o one.png --quiet
same_pixels one.png form.png

# A configuration's advice is about its own sampler.
printf 'ldm:\n  sampling: {timesteps: quad, eta: 0.5, temperature: 0.8}\n' >advice.yaml
works generate $TINY --config advice.yaml --steps 5 -o one.png
stderr_has '5 steps: sampler ddim, timesteps quad, eta 0.5, temperature 0.8$'
works generate $TINY --config advice.yaml --steps 5 --sampler heun -o one.png
stderr_has '5 steps: sampler heun, timesteps discrete$'
same_pixels one.png heun/00000.png

# A spacing of CompVis that begins where there is no timestep.
works generate $TINY --steps 9 -o nine.png
stderr_has "note: steps 9: CompVis' spacing would begin at timestep 1000, one beyond the model's last .*that step is left out, and 9 run, from timestep 889 on"
works generate $TINY --steps 37 -o nine.png --overwrite
stderr_has "and 37 run, from timestep 973 on"

# Names without the signs between their parts; a configuration's eta is about its own sampler.
works generate $TINY --steps 2 --sampler EulerA -o a.png
stderr_has 'sampler euler_a,'
works generate --set ldm.sampling.sampler=euler --steps 2 -o euler.png
stderr_has "note: the configuration's eta has no effect: sampler euler takes none"
stderr_has 'sampler euler, '
stderr_lacks 'eta 0'
works generate --sampler euler --steps 2 -o same.png
stderr_lacks 'has no effect'
same_pixels euler.png same.png

# eta is said of the samplers that take one: ddpm adds noise without.
for sampler in ddpm dpmpp_2m plms; do
    works generate $TINY --steps 2 --sampler $sampler -o said.png
    stderr_has "sampling .*sampler $sampler, "
    stderr_lacks 'eta [0-9]'
done
for sampler in ddim euler_a; do
    works generate $TINY --steps 2 --sampler $sampler -o said.png
    stderr_has "sampler $sampler, .*, eta [01]$"
done
