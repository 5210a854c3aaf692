# SPDX-License-Identifier: MIT
# ldm convert takes no more memory than its largest tensor and a little, in every form: pages of files
# that it has mapped count, too.
: "${MAKE_CKPT:?names the program that makes checkpoints}" "${PEAK_MEMORY:?names the program that measures}"
sed 's/model_channels: 32/model_channels: 256/' "$CONFIG" >large.yaml
differ large.yaml "$CONFIG"
"$MAKE_CKPT" large.yaml 1 large.safetensors || die "no checkpoint"
size=$(wc -c <large.safetensors)
[ "$size" -gt 100000000 ] || die "the checkpoint has $size bytes only"
for form in '' --half '--to diffusers'; do
    rm -rf out*
    # shellcheck disable=SC2086
    "$PEAK_MEMORY" peak "$LDM" convert --ckpt large.safetensors --config large.yaml $form -o out.safetensors >"$OUT" 2>"$ERR" ||
        die "the conversion $form failed"
    [ "$(cat peak)" -lt 65000 ] || die "convert $form: $(cat peak) kB of memory for a file of $size bytes"
done
