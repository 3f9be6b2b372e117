# Part D2 of PROTOCOL.md; the folder of the annotations and images is the first argument.
pose="--task pose --data-dir $1 --set crop.enlarge=1"
lowland train $pose --algorithm sgd --epochs 30 --seed 600 --validation 0.2 --out d2/pilot
