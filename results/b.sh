# Part B of PROTOCOL.md; the folder of CIFAR-10's binary files is the first argument.
lowland compare --data cifar10 --data-dir "$1" --train-limit 10000 --test-limit 2000 \
    --label-noise 0.4 --model small-cnn-wide --epochs 12 --no-sharpness \
    --seeds 6 --first-seed 130 --keep weights --out b --algorithms \
sgd,\
sam:rho=0.1,\
arsam:rho=0.1:budget=1.2,\
arsam:rho=0.1:budget=1.2:beta=0.95:max_reuse=12:scaled=true,\
looksam:rho=0.1,\
composed:schedule.periodic.k=5:ascend.gradient.rho=0.1:descend.reuse-psf.beta=0.95:descend.reuse-psf.max_reuse=12:descend.reuse-psf.scaled=true
