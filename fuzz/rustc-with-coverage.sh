#!/bin/sh
# Cargo's RUSTC_WRAPPER for a build of the fuzz targets: the crates that read files count what they
# run through, as libFuzzer wants it, and those of Burn, which read none, are compiled as ever.
case " $* " in
    *" --crate-type proc-macro "* | *" build_script_"*) exec "$@" ;;
    *" --crate-name "lowland*" "* | *" --crate-name "image*" "* | *" fuzz_targets/"*) ;;
    *" --crate-name "png" "* | *" --crate-name "tiff" "* | *" --crate-name "gif" "*) ;;
    *" --crate-name "zune_*" "* | *" --crate-name "fdeflate" "* | *" --crate-name "weezl" "*) ;;
    *" --crate-name "flate2" "* | *" --crate-name "rawzip" "* | *" --crate-name "safetensors" "*) ;;
    *) exec "$@" ;;
esac
exec "$@" --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
