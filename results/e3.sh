# Part E3 of PROTOCOL.md; the folder of CIFAR-10's binary files is the first argument.
every() { echo "composed:schedule.periodic.k=$1:ascend.gradient.rho=$2:descend.reuse-psf.beta=$3:descend.reuse-psf.max_reuse=12"; }
lowland compare --label-noise 0.3 --epochs 15 --no-sharpness --seeds 10 --first-seed 420 \
    --keep metrics --out e3a --algorithms \
"sgd,sam:rho=0.2,$(every 5 0.2 0.95),$(every 5 0.2 1),$(every 10 0.2 0.95),$(every 10 0.2 1)"
# Not run: the setting of part A had decided.
lowland compare --data cifar10 --data-dir "$1" --train-limit 10000 --test-limit 2000 \
    --label-noise 0.4 --model small-cnn-wide --epochs 12 --no-sharpness --seeds 6 --first-seed 130 \
    --keep metrics --out e3b --algorithms "$(every 5 0.1 0.95),$(every 5 0.1 1)"
