# Installs what is missing on this machine. Sourced by ./run and ./test; does nothing by itself.
# Every need_… returns at once when its program is installed, ends the script with one message and the remedy when it
# cannot be installed, and never touches an existing PostgreSQL cluster.

POSTGRES_LEAST=15
NODE_LEAST=20

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "error: $1"
  shift
  for remedy in "$@"; do say "  $remedy"; done
  exit 2
}

has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# need_root WHAT COMMAND…: called first, so that the remedy names the complete command to run.
need_root() {
  local what=$1
  shift
  if [ "$(id -u)" -eq 0 ] || has sudo; then return; fi
  fail "$what is missing; installing it needs root, and there is no sudo here" "as root, run: $*"
}

need_cargo() {
  has cargo || PATH="${CARGO_HOME:-${HOME:-}/.cargo}/bin:$PATH"
  has cargo || fail "the Rust toolchain is missing (no cargo on the PATH)" \
    "install it from https://rustup.rs and start a new shell"
}

need_lints() {
  if cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1; then return; fi
  has rustup || fail "cargo fmt or cargo clippy is missing" "install the rustfmt and clippy that belong to your Rust toolchain"
  say "installing rustfmt and clippy"
  rustup component add rustfmt clippy >&2
}

need_compiler() {
  if has cc; then return; fi
  install_packages "a C compiler" \
    apt "gcc libc6-dev" dnf "gcc" apk "gcc musl-dev" pacman "gcc"
  has cc || fail "there is still no C compiler (cc) on the PATH" "install gcc or clang with your package manager"
}

need_postgres() {
  if [ -n "$(find_postgres)" ]; then return; fi
  if has apt-get; then
    install_postgres_by_apt
  else
    install_packages "PostgreSQL" \
      dnf "postgresql-server postgresql-contrib" apk "postgresql postgresql-contrib" pacman "postgresql"
  fi
  [ -n "$(find_postgres)" ] || fail_postgres
}

need_node() {
  if has npm && [ "$(node_major)" -ge "$NODE_LEAST" ]; then return; fi
  if [ "$(node_major)" -eq 0 ] || ! has npm; then
    install_packages "Node.js" apt "nodejs npm" dnf "nodejs npm" apk "nodejs npm" pacman "nodejs npm"
  fi
  { has npm && [ "$(node_major)" -ge "$NODE_LEAST" ]; } ||
    fail "the client suites need Node.js $NODE_LEAST or newer with npm; found $(node --version 2>/dev/null || echo none)" \
      "install a current release from https://nodejs.org"
}

node_major() {
  local version
  version=$(node --version 2>/dev/null) || version=v0
  version=${version#v}
  echo "${version%%.*}"
}

# Prints the folder of the first PostgreSQL server that is new enough; nothing if there is none.
find_postgres() {
  local folder
  while IFS= read -r folder; do
    if [ -x "$folder/initdb" ] && [ "$(postgres_major "$folder")" -ge "$POSTGRES_LEAST" ]; then
      echo "$folder"
      return
    fi
  done < <(postgres_folders)
}

postgres_folders() {
  local found
  if found=$(command -v postgres); then dirname "$(readlink -f "$found")"; fi
  if has pg_config; then pg_config --bindir 2>/dev/null || true; fi
  for found in /usr/lib/postgresql/*/bin /usr/lib/postgresql*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* \
    /usr/local/pgsql/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
    if [ -d "$found" ]; then echo "$found"; fi
  done
}

postgres_major() {
  local version
  version=$("$1/postgres" --version 2>/dev/null) || version='0'
  version=${version##*) }
  version=${version%%[!0-9]*}
  echo "${version:-0}"
}

fail_postgres() {
  local folder newest=0 major
  while IFS= read -r folder; do
    if [ ! -x "$folder/initdb" ]; then continue; fi
    major=$(postgres_major "$folder")
    if [ "$major" -gt "$newest" ]; then newest=$major; fi
  done < <(postgres_folders)
  local found="none was found"
  if [ "$newest" -gt 0 ]; then found="found only PostgreSQL $newest"; fi
  local needed="Rowhouse needs the server programs of PostgreSQL $POSTGRES_LEAST or newer; $found"
  if has apt-get; then
    fail "$needed" "PostgreSQL's own packages have it; as root, run: apt-get install -y postgresql-common && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && apt-get install -y postgresql-17"
  elif has dnf; then
    fail "$needed" "as root, run: dnf module reset -y postgresql && dnf module enable -y postgresql:16 && dnf install -y postgresql-server postgresql-contrib"
  else
    fail "$needed" "see https://www.postgresql.org/download/"
  fi
}

# Debian's package would create and start a cluster of its own; a file that exists during the installation prevents that.
install_postgres_by_apt() {
  local package policy=/etc/postgresql-common/createcluster.d/rowhouse-install.conf done=0
  package=$(postgres_package)
  need_root "PostgreSQL $POSTGRES_LEAST or newer" "apt-get update && apt-get install -y ${package:-postgresql}"
  refresh_apt
  package=$(postgres_package)
  [ -n "$package" ] || fail_postgres
  say "installing PostgreSQL ($package)"
  as_root mkdir -p "${policy%/*}"
  echo "create_main_cluster = false" | as_root tee "$policy" >/dev/null
  apt_install "$package" || done=$?
  as_root rm -f "$policy"
  [ "$done" -eq 0 ] || fail "$package could not be installed" "see the messages above"
}

# The system's default if it is new enough, else the newest that the system's packages offer.
postgres_package() {
  local major
  major=$(LC_ALL=C apt-cache policy postgresql 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*\).*/\1/p')
  if [ "${major:-0}" -ge "$POSTGRES_LEAST" ]; then
    echo postgresql
    return
  fi
  apt-cache --names-only search '^postgresql-[0-9]+$' 2>/dev/null | sed -n 's/^postgresql-\([0-9]*\) .*/\1/p' | sort -rn |
    while read -r major; do
      if [ "$major" -ge "$POSTGRES_LEAST" ]; then echo "postgresql-$major"; fi
    done | sed -n 1p
}

# install_packages WHAT (MANAGER "PACKAGES")…: by the package manager that this system has.
install_packages() {
  local what=$1
  shift
  while [ $# -ge 2 ]; do
    case $1 in
      apt) if has apt-get; then install_by "$what" "apt-get update && apt-get install -y $2" apt_update_and_install $2; return; fi ;;
      dnf) if has dnf; then install_by "$what" "dnf install -y $2" as_root dnf install -y -q $2; return; fi ;;
      apk) if has apk; then install_by "$what" "apk add $2" as_root apk add -q $2; return; fi ;;
      pacman) if has pacman; then install_by "$what" "pacman -S $2" as_root pacman -S --needed --noconfirm $2; return; fi ;;
    esac
    shift 2
  done
  fail "$what is missing, and no package manager that this script knows (apt-get, dnf, apk, pacman) is here" \
    "install $what yourself, then run this again"
}

# install_by WHAT REMEDY COMMAND…
install_by() {
  local what=$1 remedy=$2
  shift 2
  need_root "$what" "$remedy"
  say "installing $what: $remedy"
  "$@" >&2 || fail "$what could not be installed (see the messages above)" "as root, run: $remedy"
}

apt_update_and_install() { refresh_apt && apt_install "$@"; }

refresh_apt() {
  as_root apt-get update -qq >&2 || say "apt-get update failed; going on with the lists at hand"
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=120 "$@" >&2
}

# The SMTP server for the tests of mail.
need_smtp_peer() {
  if python3 -c 'import aiosmtpd' >/dev/null 2>&1 && has openssl; then return; fi
  install_packages "Python with aiosmtpd" \
    apt "python3-aiosmtpd openssl" dnf "python3-aiosmtpd openssl" apk "python3 py3-pip openssl" pacman "python-aiosmtpd openssl"
  python3 -c 'import aiosmtpd' >/dev/null 2>&1 || python3 -m pip install --user aiosmtpd >&2 ||
    fail "the mail tests need aiosmtpd" "install it with: python3 -m pip install aiosmtpd"
}

# The connection pooler for the tests of the database. Debian's package starts none by itself in a container; where
# it does, that one listens on a port of its own and is left alone.
need_pgbouncer() {
  if has pgbouncer; then return; fi
  install_packages "PgBouncer" apt "pgbouncer" dnf "pgbouncer" apk "pgbouncer" pacman "pgbouncer"
  has pgbouncer || fail "there is still no pgbouncer on the PATH" "install PgBouncer with your package manager"
}

# The other program for backups, which the adapter's tests drive.
need_pgbackrest() {
  if has pgbackrest; then return; fi
  install_packages "pgBackRest" apt "pgbackrest" dnf "pgbackrest" apk "pgbackrest"
  has pgbackrest || fail "there is still no pgbackrest on the PATH" "install pgBackRest with your package manager"
}

# The server for the tests of shared rate limits. What the package starts by itself has a port of its own and is left alone.
need_redis() {
  if has redis-server; then return; fi
  install_packages "Redis" apt "redis-server" dnf "redis" apk "redis" pacman "valkey"
  has redis-server || fail "there is still no redis-server on the PATH" \
    "install Redis, or Valkey with its names for Redis, with your package manager"
}

# A browser for the tests of WebAuthn. They are skipped without one, so that a system without such a package can be used.
want_browser() {
  if has chromium || has chromium-browser || has google-chrome || [ -n "${CHROMIUM:-}" ]; then return; fi
  (install_packages "Chromium" apt "chromium" dnf "chromium" apk "chromium" pacman "chromium") ||
    say "going on without a browser: the tests of WebAuthn in one are skipped"
}
