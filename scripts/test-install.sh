#!/usr/bin/env bash
# Tests scripts/install.sh with fake package managers, which record their arguments: what is installed, and the one
# sentence with its remedy that ends the script otherwise. No real package manager is called.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# machine MANAGER ACCOUNT RESULT: a folder of programs that is the whole PATH of the script. MANAGER is dnf, pacman, apk,
# apt-get or none; ACCOUNT is root, sudo or user (without sudo); RESULT of the manager is installs, nothing or fails.
machine() {
  rm -rf "$work/bin" "$work/postgres" "$work/calls"
  mkdir "$work/bin"
  local tool
  for tool in bash env dirname readlink find sed awk cat mkdir ln rm chmod tee sort head tail; do
    ln -s "$(type -P "$tool")" "$work/bin/$tool"
  done
  program id "echo $([ "$2" = root ] && echo 0 || echo 1000)"
  if [ "$2" = sudo ]; then program sudo 'exec "$@"'; fi
  if [ "$1" != none ]; then program "$1" "echo \"$1 \$*\" >>$work/calls" "$(effect "$3")"; fi
}

# program NAME LINE…: a script on the machine's PATH.
program() {
  local name=$1
  shift
  printf '%s\n' "#!$(command -v bash)" "$@" >"$work/bin/$name"
  chmod +x "$work/bin/$name"
}

effect() {
  case $1 in
    installs)
      echo "for name in cc pgbackrest pgbouncer redis-server; do ln -s $(type -P true) $work/bin/\$name; done"
      echo "mkdir -p $work/postgres && ln -s $(type -P true) $work/postgres/initdb"
      echo "echo 'echo \"postgres (PostgreSQL) 16.4\"' >$work/postgres/postgres && chmod +x $work/postgres/postgres"
      ;;
    fails) echo 'echo "no such package" >&2; exit 1' ;;
  esac
}

# said NEED: what the script prints on that machine, and its exit code. Servers of the real machine are not looked for.
said() {
  local out code=0
  out=$(env -i PATH="$work/bin" "$work/bin/bash" -c \
    ". ./install.sh; postgres_folders() { if [ -d $work/postgres ]; then echo $work/postgres; fi; }; $1" 2>&1 </dev/null) || code=$?
  printf '%s\n' "$out" "exit $code"
}

calls() { cat "$work/calls" 2>/dev/null; }

# is NAME FOUND EXPECTED
is() {
  if [ "$2" = "$3" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAULT %s: found\n%s\nexpected\n%s\n' "$1" "$2" "$3"
  fi
}

# needs MANAGER NEED WHAT ARGUMENTS REMEDY: the same need on machines that differ in account and in what the manager does.
needs() {
  local manager=$1 need=$2 what=$3 arguments=$4 remedy=$5 account
  machine "$manager" user installs
  is "$manager, $need, neither root nor sudo" "$(said "$need")" \
    "error: $what is missing; installing it needs root, and there is no sudo here"$'\n'"  as root, run: $remedy"$'\nexit 2'
  is "$manager, $need, neither root nor sudo: nothing is called" "$(calls)" ""
  for account in root sudo; do
    machine "$manager" "$account" installs
    is "$manager, $need, $account" "$(said "$need")" "installing $what: $remedy"$'\nexit 0'
    is "$manager, $need, $account: what is called" "$(calls)" "$manager $arguments"
  done
  machine "$manager" root fails
  is "$manager, $need, the manager fails" "$(said "$need" | tail -n 3)" \
    "error: $what could not be installed (see the messages above)"$'\n'"  as root, run: $remedy"$'\nexit 2'
}

needs dnf need_compiler "a C compiler" "install -y -q gcc" "dnf install -y gcc"
needs dnf need_postgres PostgreSQL "install -y -q postgresql-server postgresql-contrib" \
  "dnf install -y postgresql-server postgresql-contrib"
needs dnf need_pgbouncer PgBouncer "install -y -q pgbouncer" "dnf install -y pgbouncer"
needs dnf need_redis Redis "install -y -q redis" "dnf install -y redis"
needs dnf need_pgbackrest pgBackRest "install -y -q pgbackrest" "dnf install -y pgbackrest"
needs pacman need_compiler "a C compiler" "-S --needed --noconfirm gcc" "pacman -S gcc"
needs pacman need_postgres PostgreSQL "-S --needed --noconfirm postgresql" "pacman -S postgresql"
needs pacman need_pgbouncer PgBouncer "-S --needed --noconfirm pgbouncer" "pacman -S pgbouncer"
needs pacman need_redis Redis "-S --needed --noconfirm valkey" "pacman -S valkey"
needs apk need_compiler "a C compiler" "add -q gcc musl-dev" "apk add gcc musl-dev"
needs apk need_postgres PostgreSQL "add -q postgresql postgresql-contrib" "apk add postgresql postgresql-contrib"
needs apk need_redis Redis "add -q redis" "apk add redis"
needs apk need_pgbackrest pgBackRest "add -q pgbackrest" "apk add pgbackrest"

machine apt-get user installs
is "apt-get, need_compiler, neither root nor sudo" "$(said need_compiler)" \
  "error: a C compiler is missing; installing it needs root, and there is no sudo here
  as root, run: apt-get update && apt-get install -y gcc libc6-dev
exit 2"

machine none root nothing
is "no package manager" "$(said need_compiler)" \
  "error: a C compiler is missing, and no package manager that this script knows (apt-get, dnf, apk, pacman) is here
  install a C compiler yourself, then run this again
exit 2"

machine pacman root nothing
is "the manager ends well and installs nothing" "$(said need_compiler | tail -n 3)" \
  "error: there is still no C compiler (cc) on the PATH
  install gcc or clang with your package manager
exit 2"

machine dnf root nothing
mkdir "$work/postgres"
ln -s "$(type -P true)" "$work/postgres/initdb"
printf '#!%s\necho "postgres (PostgreSQL) 13.11"\n' "$(command -v bash)" >"$work/postgres/postgres"
chmod +x "$work/postgres/postgres"
is "the packages have an old PostgreSQL" "$(said need_postgres | tail -n 3)" \
  "error: Rowhouse needs the server programs of PostgreSQL 15 or newer; found only PostgreSQL 13
  as root, run: dnf module reset -y postgresql && dnf module enable -y postgresql:16 && dnf install -y postgresql-server postgresql-contrib
exit 2"

machine pacman root nothing
mkdir "$work/postgres"
printf '#!%s\necho "postgres (PostgreSQL) 16.4"\n' "$(command -v bash)" >"$work/postgres/postgres"
chmod +x "$work/postgres/postgres"
is "postgres without initdb" "$(said need_postgres | tail -n 3)" \
  "error: Rowhouse needs the server programs of PostgreSQL 15 or newer; none was found
  see https://www.postgresql.org/download/
exit 2"

machine dnf user nothing
is "no cargo, and no HOME" "$(said need_cargo)" \
  "error: the Rust toolchain is missing (no cargo on the PATH)
  install it from https://rustup.rs and start a new shell
exit 2"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
