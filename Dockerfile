# Images of static binaries. The backend is the last, so a build without a target gives it;
# `--target proxy` and `--target dashboard` give the others.

# Any image that has Rust, a C linker and libc's static library will do.
ARG BUILDER=rust:1-slim

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
# Debug information would be stripped anyway, so none is generated.
ENV CARGO_PROFILE_RELEASE_DEBUG=none CARGO_PROFILE_RELEASE_STRIP=symbols
ENV RUSTFLAGS="-C target-feature=+crt-static"
# With an explicit target, these flags don't apply to build scripts and macros, which can't be static.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
 && cargo build --locked --release --target "$target" \
      --bin tidegate --bin tidegatectl --bin tidegate-dashboard --bin tidegate-backend \
 && mkdir -p /out/owned/logs /out/owned/run/tidegate \
 && cd "target/$target/release" \
 && cp tidegate tidegatectl tidegate-dashboard tidegate-backend /out

FROM scratch AS proxy
COPY --from=build /out/tidegate /out/tidegatectl /
# The folders of the log and of the admin's socket have to exist with this owner: a volume mounted there
# takes its ownership over.
COPY --from=build --chown=65532:65532 /out/owned /
COPY packaging/docker/tidegate.toml /etc/tidegate/
USER 65532:65532
EXPOSE 9090 9091
HEALTHCHECK --interval=5s --timeout=5s --start-period=5s CMD ["/tidegatectl", "health"]
ENTRYPOINT ["/tidegate", "--config", "/etc/tidegate/tidegate.toml"]

FROM scratch AS dashboard
COPY --from=build /out/tidegate-dashboard /
USER 65532:65532
EXPOSE 5002
HEALTHCHECK --interval=5s --timeout=5s --start-period=5s CMD ["/tidegate-dashboard", "--health"]
ENTRYPOINT ["/tidegate-dashboard"]

FROM scratch AS backend
COPY --from=build /out/tidegate-backend /
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=5s CMD ["/tidegate-backend", "--health"]
ENTRYPOINT ["/tidegate-backend"]
