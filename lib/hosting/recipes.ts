/** Files that a hoster needs around the program, as text: nothing of them belongs into a repository. */

export interface RecipeFacts {
  /** Absolute path of the program. */
  program: string;
  domain: string;
  version: string;
}

export const RECIPES = {
  docker: dockerfile,
  systemd: systemdUnit,
  "fly.toml": flyToml,
} as const;

export type Recipe = keyof typeof RECIPES;

/** An image that runs one instance: what driver fly names with `--fly-image`. Build it beside the program. */
function dockerfile(): string {
  return `# docker build -t spl .            (this file as Dockerfile, in a folder with the program)
FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --chmod=0755 spl /usr/local/bin/spl
# A volume is root's when it is new, so the program runs as root of its own container or machine.
ENV SYNCROPEL_HOME=/data/syncro
VOLUME /data
EXPOSE 9100
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s CMD ["spl", "status", "-o", "json"]
ENTRYPOINT ["spl"]
CMD ["serve", "--host", "0.0.0.0", "--port", "9100"]
`;
}

/** The hosting service on a machine of one's own, with driver process. systemd.exec(5), systemd.service(5). */
function systemdUnit({ program, domain }: RecipeFacts): string {
  return `# /etc/systemd/system/spl-host.service; then: systemctl enable --now spl-host
[Unit]
Description=Hosting service for ${domain}
Wants=network-online.target
After=network-online.target

[Service]
DynamicUser=yes
StateDirectory=spl-host
StateDirectoryMode=0700
Environment=SPL_HOST_HOME=/var/lib/spl-host HOME=/var/lib/spl-host
LoadCredential=cert.pem:/etc/spl-host/cert.pem
LoadCredential=key.pem:/etc/spl-host/key.pem
ExecStart=${program} host serve --domain ${domain} --host 0.0.0.0 --port 443,9100 \\
  --public-url https://${domain} --tls-cert \${CREDENTIALS_DIRECTORY}/cert.pem --tls-key \${CREDENTIALS_DIRECTORY}/key.pem
# Its instances are stopped in order by itself.
KillMode=mixed
TimeoutStopSec=120
Restart=always
RestartSec=2
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
UMask=0077

[Install]
WantedBy=multi-user.target
`;
}

/** Pushes the image of `host print docker` to Fly's registry, and can run one instance by itself. */
function flyToml({ version }: RecipeFacts): string {
  return `# fly apps create NAME; fly deploy --build-only --push --image-label ${version}
# The image is then registry.fly.io/NAME:${version}, for spl host serve --driver fly --fly-image.
app = "NAME"
primary_region = "ams"

[build]
  dockerfile = "Dockerfile"

[mounts]
  source = "data"
  destination = "/data"

[[services]]
  protocol = "tcp"
  internal_port = 9100
  auto_stop_machines = "off"
  auto_start_machines = true

  [[services.ports]]
    port = 443
    handlers = ["tls", "http"]

  [[services.ports]]
    port = 9100
    handlers = ["tls", "http"]

  [[services.http_checks]]
    method = "get"
    path = "/health"
    interval = "15s"
    timeout = "5s"
`;
}
