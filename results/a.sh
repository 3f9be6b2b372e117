# Part A of results/PROTOCOL.md.
lowland compare --label-noise 0.3 --epochs 15 --no-sharpness --seeds 10 --first-seed 200 \
    --keep weights --out a --algorithms \
sgd,\
sam:rho=0.2,\
looksam:rho=0.2:k=5,\
msam:rho=2,\
fsam:rho=0.2,\
arsam:rho=0.2:budget=1.1:beta=0.95:max_reuse=12:window=20,\
composed:schedule.controller.window=20:ascend.gradient.rho=0.2:budget=1.1,\
composed:schedule.periodic.k=10:ascend.gradient.rho=0.2:descend.reuse-psf.beta=0.85:descend.reuse-psf.max_reuse=12,\
ss-sam:rho=0.2:probability=0.1,\
aesam:rho=0.2:budget=1.1,\
late:rho=0.2:start=0.9,\
arsam:rho=0.2:budget=1.2:beta=0.95:max_reuse=12:window=20,\
composed:schedule.controller.window=20:ascend.gradient.rho=0.2:budget=1.2,\
composed:schedule.periodic.k=5:ascend.gradient.rho=0.2:descend.reuse-psf.beta=0.95:descend.reuse-psf.max_reuse=12,\
ss-sam:rho=0.2:probability=0.2,\
aesam:rho=0.2:budget=1.2,\
late:rho=0.2:start=0.8,\
arsam:rho=0.2:budget=1.4:beta=0.95:max_reuse=12:window=20,\
composed:schedule.controller.window=20:ascend.gradient.rho=0.2:budget=1.4,\
composed:schedule.periodic.k=3:ascend.gradient.rho=0.2:descend.reuse-psf.beta=0.85:descend.reuse-psf.max_reuse=12,\
ss-sam:rho=0.2:probability=0.4,\
aesam:rho=0.2:budget=1.4,\
late:rho=0.2:start=0.6
