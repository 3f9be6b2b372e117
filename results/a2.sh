# Part A2 of results/PROTOCOL.md.
lowland compare --label-noise 0.3 --epochs 15 --no-sharpness --seeds 10 --first-seed 300 \
    --keep weights --out a2 --algorithms \
sgd,\
sam:rho=0.2,\
arsam:rho=0.2:budget=1.1:window=20,\
arsam:rho=0.2:budget=1.1:beta=0.95:max_reuse=12:window=20,\
arsam:rho=0.2:budget=1.1:beta=0.95:max_reuse=12:scaled=true:window=20,\
composed:schedule.periodic.k=10:ascend.gradient.rho=0.2:descend.reuse-psf.beta=0.95:descend.reuse-psf.max_reuse=12,\
composed:schedule.periodic.k=10:ascend.gradient.rho=0.2:descend.reuse-psf.beta=0.95:descend.reuse-psf.max_reuse=12:descend.reuse-psf.scaled=true,\
arsam:rho=0.2:budget=1.2:window=20,\
arsam:rho=0.2:budget=1.2:beta=0.95:max_reuse=12:window=20,\
arsam:rho=0.2:budget=1.2:beta=0.95:max_reuse=12:scaled=true:window=20,\
composed:schedule.periodic.k=5:ascend.gradient.rho=0.2:descend.reuse-psf.beta=0.95:descend.reuse-psf.max_reuse=12,\
composed:schedule.periodic.k=5:ascend.gradient.rho=0.2:descend.reuse-psf.beta=0.95:descend.reuse-psf.max_reuse=12:descend.reuse-psf.scaled=true
