# Part D1 of PROTOCOL.md. The radii of the comparison were chosen by what the searches print.
lowland train --algorithm sgd --seed 500 --validation 0.2 --out d1/float-tune
lowland train --algorithm sgd --seed 500 --out d1/float
for bits in 4 3; do
    lowland compare --task quantised --from d1/float-tune --bits $bits --epochs 10 \
        --validation 0.2 --no-sharpness --seeds 3 --first-seed 510 --out d1/tune-$bits \
        --algorithms sgd,sam:rho=0.05,sam:rho=0.1,sam:rho=0.2
done
