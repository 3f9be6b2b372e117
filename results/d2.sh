# Part D2 of PROTOCOL.md; the folder of the annotations and images is the first argument.
pose="--task pose --data-dir $1 --set crop.enlarge=1 --epochs 30"
lowland train $pose --algorithm sgd --seed 600 --validation 0.2 --out d2/pilot
lowland compare $pose --validation 0.2 --no-sharpness --seeds 1 --first-seed 610 --keep nothing \
    --out d2/tune --algorithms sgd,sam:rho=0.005,sam:rho=0.02,sam:rho=0.05
lowland compare $pose --no-sharpness --margin 1 --seeds 3 --first-seed 620 --keep nothing \
    --out d2/compare --algorithms sgd,sam:rho=0.005,arsam:rho=0.005:budget=1.2
