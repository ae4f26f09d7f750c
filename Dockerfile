# The agent in a container, from the package that a gateway gets:
#
#   docker build -t tieline .
#   docker run --rm -v "$PWD/site:/etc/tieline" -v tieline:/var/lib/tieline -p 127.0.0.1:8480:8480 \
#     --device /dev/ttyUSB0 --group-add dialout --init tieline run
#
# The page is on loopback until a password is set, so a container's port reaches it only with `page: {listen: ..., password_file: ...}`.
# The bench, with no hardware: docker build --target bench -t tieline-bench . && docker run --rm --init -it --network host tieline-bench
ARG BASE=debian:trixie-slim

FROM ${BASE} AS node
# Debian's Node is what the package is made for; npm comes with the tools below.
RUN apt-get update && apt-get install -y --no-install-recommends nodejs && rm -rf /var/lib/apt/lists/*

FROM node AS build
RUN apt-get update && apt-get install -y --no-install-recommends npm
WORKDIR /src
COPY . .
# Of the last commit in a checkout; a container has no history. It only dates the files.
ARG SOURCE_DATE_EPOCH=0
RUN npm ci --ignore-scripts --no-audit --no-fund
RUN npm run image -- deb "$(dpkg --print-architecture)" --out /out && dpkg-deb -x /out/*.deb /package \
  && rm -rf /package/usr/lib/systemd /package/usr/lib/udev /package/etc/tieline/config.yaml
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node AS bench
COPY --from=build /src/package.json /opt/tieline/
COPY --from=build /src/node_modules /opt/tieline/node_modules
COPY --from=build /src/dist /opt/tieline/dist
USER nobody
WORKDIR /tmp
EXPOSE 8480
ENTRYPOINT ["node", "/opt/tieline/dist/hw/bench/main.js"]

FROM node AS gateway
# The number stays the same, so that a volume's files keep their owner from one image to the next.
RUN groupadd --system --gid 480 tieline && useradd --system --uid 480 --gid tieline --home-dir /var/lib/tieline tieline
COPY --from=build /package/ /
RUN install -d -o tieline -g tieline -m 0700 /var/lib/tieline && install -d -g tieline -m 0770 /etc/tieline
USER tieline
WORKDIR /var/lib/tieline
VOLUME ["/etc/tieline", "/var/lib/tieline"]
EXPOSE 8480
# Contacts open as they do at every end of the agent: it is told, and has the time that systemd would give it.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["tieline", "status"]
ENTRYPOINT ["tieline"]
CMD ["run"]
