# Part D1 of PROTOCOL.md. The radii of the comparison were chosen by what the searches print.
lowland train --algorithm sgd --seed 500 --validation 0.2 --out d1/float-tune
lowland train --algorithm sgd --seed 500 --out d1/float
for bits in 4 3; do
    lowland compare --task quantised --from d1/float-tune --bits $bits --epochs 10 \
        --validation 0.2 --no-sharpness --seeds 3 --first-seed 510 --out d1/tune-$bits \
        --algorithms sgd,sam:rho=0.05,sam:rho=0.1,sam:rho=0.2
done
compare() {
    lowland compare --task quantised --from d1/float --bits $1 --epochs 10 --no-sharpness \
        --margin 0.5 --seeds 10 --first-seed 520 --keep nothing --out d1/$1-bits --algorithms \
"sgd,sam:rho=$2,arsam:rho=$2:budget=1.2,arsam:rho=$2:budget=1.2:beta=0.95:max_reuse=12:scaled=true"
}
compare 4 0.1
compare 3 0.1
