#!/bin/sh
# The compiler as cargo calls it (RUSTC_WRAPPER), with the fuzzer's instrumentation for what reads hostile bytes: ours, and
# the readers of TOML and DER beneath it. The arithmetic of signatures is as fast as ever, and its branches are none of
# the fuzzer's business.
case " $* " in
*" --target "*)
    # Not for build scripts and macros, which run on this machine while it is built.
    case ${CARGO_PKG_NAME:-} in
    fidokey-* | der | serde_spanned | toml | toml_datetime | toml_parser | winnow)
        set -- "$@" -Ccodegen-units=1 -Cpasses=sancov-module \
            -Cllvm-args=-sanitizer-coverage-level=4 \
            -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
            -Cllvm-args=-sanitizer-coverage-pc-table \
            -Cllvm-args=-sanitizer-coverage-trace-compares
        ;;
    esac
    # The programs alone, for AddressSanitizer's heap and the places that it gives reports. Its checks of every access
    # would be for code that is not safe, of which there is none here, and would count as branches never taken.
    case ${CARGO_PKG_NAME:-} in
    fidokey-fuzz) set -- "$@" -Zsanitizer=address ;;
    esac
    ;;
esac
exec "$@"
