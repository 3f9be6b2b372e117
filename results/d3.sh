# Part D3 of PROTOCOL.md as far as it was run; the folders of CoLA, MiniLM, SST-2 and MRPC are the
# arguments.
whole="--task fine-tune --data cola --data-dir $1 --from $2"
cola="$whole --set text.trained.lora.rank=8"
search="--validation 0.2 --no-sharpness --seeds 1 --keep nothing"
lowland compare $cola $search --first-seed 700 --out d3/rate-cola-lora \
    --algorithms sgd:lr=0.00005,sgd:lr=0.0005,sgd:lr=0.001,sgd:lr=0.002,sgd:lr=0.005
lowland compare $cola $search --first-seed 710 --out d3/tune-cola-lora \
    --algorithms sgd,sam:rho=0.01,sam:rho=0.02,sam:rho=0.05
lowland compare $whole $search --first-seed 710 --out d3/tune-cola \
    --algorithms sgd,sam:rho=0.01,sam:rho=0.02,sam:rho=0.05
compare="--no-sharpness --margin 1 --seeds 5 --first-seed 720 --keep nothing
    --algorithms sgd,sam:rho=0.01,arsam:rho=0.01:budget=1.2"
lowland compare $cola $compare --out d3/cola-lora
lowland compare $whole $compare --out d3/cola
sst2="--task fine-tune --data sst2 --data-dir $3 --from $2 --train-limit 5000"
lowland compare $sst2 --set text.trained.lora.rank=8 $compare --out d3/sst2-lora
lowland compare $sst2 $compare --out d3/sst2
mrpc="--task fine-tune --data mrpc --data-dir $4 --from $2"
lowland compare $mrpc --set text.trained.lora.rank=8 $compare --out d3/mrpc-lora
