#!/usr/bin/env bash
# Installs Phi-Backend as a systemd service, upgrades it, rolls it back, and takes it away again.
# deploy/README.md tells the whole story; --help the options.
set -euo pipefail

PROG=${0##*/}
HERE=$(cd "$(dirname "$0")" && pwd)
TREE=$(dirname "$HERE")
readonly PROG HERE TREE

usage() {
  cat <<USAGE
Usage: $PROG [OPTION]...

Builds Phi-Backend, installs it as a systemd service and starts it. Run again it upgrades: the new
version is verified before it is switched to, and when it does not become ready the old one comes back.
Configuration and data are kept.

  --prefix DIR   where programs go (default: /usr/local)
  --from DIR     install the programs from this build directory instead of building
  --no-start     install and enable only
  --rollback     switch back to the version before this one
  --uninstall    stop the service and remove what was installed; data and a changed configuration stay
  --purge        with --uninstall: remove data, configuration and user as well
  --dry-run      print what would be done and change nothing
  -h, --help     this text

Exit status: 0 done, 1 failed (what was there before works on), 2 usage.

Examples:
  sudo deploy/install.sh
  sudo deploy/install.sh --dry-run
  sudo deploy/install.sh --uninstall
USAGE
}

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "$PROG" "$*" >&2; }
die() { warn "error: $*"; exit 1; }
bad_usage() { warn "$*; see --help"; exit 2; }

prefix=/usr/local from='' start=1 dry=0 action=install_version purge=0
while (($#)); do
  case $1 in
  --prefix) [[ ${2-} == /* ]] || bad_usage "--prefix needs an absolute directory"; prefix=${2%/}; shift ;;
  --from) [[ -d ${2-} ]] || bad_usage "--from needs a build directory"; from=$(cd "$2" && pwd); shift ;;
  --no-start) start=0 ;;
  --rollback) action=roll_back ;;
  --uninstall) action=uninstall ;;
  --purge) purge=1 ;;
  --dry-run) dry=1 ;;
  -h | --help) usage; exit 0 ;;
  *) bad_usage "unknown option '$1'" ;;
  esac
  shift
done
((!purge)) || [[ $action == uninstall ]] || bad_usage "--purge goes with --uninstall"
((dry || EUID == 0)) || die "must be run as root (or with --dry-run)"

readonly LIB=$prefix/lib/phi-backend       # a folder a version, and `current`
readonly BIN=$prefix/bin
readonly DOC=$prefix/share/doc/phi-backend
readonly CONF=/etc/phi-backend
readonly UNITS=/etc/systemd/system
readonly DATA=/var/lib/phi-backend
readonly NAMES=(phi-backend phictl)        # the programs
readonly UNIT_FILES=(phi-backend.service phi-backend.socket)

# systemd runs here (sd_booted(3)).
booted() { [[ -d /run/systemd/system ]]; }

# do_it COMMAND...: runs it, or prints it with --dry-run.
do_it() {
  if ((dry)); then printf 'would run: %s\n' "${*@Q}"; else "$@"; fi
}
systemctl_if_booted() { if booted; then do_it systemctl "$@"; fi; }

# put MODE SOURCE TARGET: installs a file when it is not there in this shape already.
put() {
  local mode=$1 source=$2 target=$3
  if [[ -f $target ]] && cmp -s "$source" "$target"; then return; fi
  do_it install -D -m "$mode" "$source" "$target"
}

# link TARGET NAME: points the symbolic link NAME at TARGET in one step.
link() {
  [[ $(readlink "$2" 2>/dev/null) == "$1" ]] && return
  do_it mkdir -p "$(dirname "$2")"
  do_it ln -sfn "$1" "$2.new"
  do_it mv -T "$2.new" "$2"
}

# fill SOURCE TARGET: a unit or tmpfiles template with this prefix.
fill() { sed -e "s|@bindir@|$BIN|g; s|@confdir@|$CONF|g; s|@docdir@|$DOC|g" "$1" >"$2"; }

# ---------------------------------------------------------------------------------- the new version

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

programs() { # sets `server` and `ctl`: where the built programs are
  if [[ ! $from ]]; then
    if ((dry)); then
      say "would build build/release with tools/build"
      [[ -x $TREE/build/release/server/phi-backend ]] || { server='' ctl=''; return; }
    else
      say "Building (the first time takes a few minutes) ..."
      "$TREE/tools/packages" build
      "$TREE/tools/build" release >/dev/null
    fi
    from=$TREE/build/release
  fi
  server=$from/server/phi-backend ctl=$from/tools/phictl/phictl
  [[ -x $server && -x $ctl ]] || die "$from has no server/phi-backend and tools/phictl/phictl; build them first"
}

# Makes the folder of the new version, complete before it gets its name.
stage() {
  local version sum
  version=$("$server" --version) || die "the new phi-backend does not run here (is a library missing?)"
  sum=$(cat "$server" "$ctl" "$scratch"/units/* | sha256sum)
  id=${version#phi-backend }-${sum:0:12}
  release=$LIB/$id
  [[ -d $release ]] && return
  local part=$LIB/.new.$$
  do_it mkdir -p "$part"
  do_it install -m 0755 "$server" "$part/phi-backend"
  do_it install -m 0755 "$ctl" "$part/phictl"
  do_it cp -r "$scratch/units" "$part/units"
  do_it install -m 0644 "$TREE/config/config.toml" "$part/config.toml"
  do_it mv -T "$part" "$release"
}

make_units() {
  mkdir -p "$scratch/units"
  fill "$HERE/phi-backend.service.in" "$scratch/units/phi-backend.service"
  cp "$HERE/phi-backend.socket" "$scratch/units/"
}

# Everything that can be known to be wrong before the switch.
verify() {
  local program=$release/phi-backend config=$CONF/config.toml out
  if ((dry)); then program=$server; [[ -f $config ]] || config=$TREE/config/config.toml; fi
  # As the service will run it: with its credentials, and with nothing of this environment.
  out=$(env -i PATH="$PATH" CREDENTIALS_DIRECTORY="$CONF/secrets" "$program" --config "$config" --check 2>&1) ||
    die "the new version does not accept $config; nothing was switched:
$out"
  if command -v systemd-analyze >/dev/null && ((!dry)); then
    # With the programs' new places: the links in bin are not there yet the first time.
    mkdir -p "$scratch/verify"
    sed "s|$BIN/|$release/|" "$release/units/phi-backend.service" >"$scratch/verify/phi-backend.service"
    cp "$release/units/phi-backend.socket" "$scratch/verify/"
    out=$(systemd-analyze verify "$scratch"/verify/* 2>&1) || true
    [[ ! $out ]] || die "systemd does not accept the units; nothing was switched:
$out"
  fi
  say "Verified: $id runs here, accepts $config, and systemd accepts its units"
}

# -------------------------------------------------------------------------------------- the switch

install_common() {
  put 0644 "$HERE/phi-backend.sysusers" /etc/sysusers.d/phi-backend.conf
  fill "$HERE/phi-backend.tmpfiles.in" "$scratch/tmpfiles"
  put 0644 "$scratch/tmpfiles" /etc/tmpfiles.d/phi-backend.conf
  put 0644 "$HERE/README.md" "$DOC/deploy.md"
  put 0644 "$TREE/config/README.md" "$DOC/config.md"
  put 0644 "$HERE/notify-reload.conf" "$DOC/notify-reload.conf"
  if [[ -f $CONF/config.toml ]]; then
    cmp -s "$TREE/config/config.toml" "$CONF/config.toml" || say "Kept your $CONF/config.toml"
  else
    put 0644 "$TREE/config/config.toml" "$CONF/config.toml"
  fi
  do_it systemd-sysusers /etc/sysusers.d/phi-backend.conf
  do_it systemd-tmpfiles --create /etc/tmpfiles.d/phi-backend.conf
}

# switch_to RELEASE: programs and units become those of this version.
switch_to() {
  local to=$1 name
  link "$(basename "$to")" "$LIB/current"
  for name in "${NAMES[@]}"; do link "../lib/phi-backend/current/$name" "$BIN/$name"; done
  link phictl "$BIN/phi-backendctl"
  socket_changed=0
  if booted && [[ -f $UNITS/phi-backend.socket ]] && ! cmp -s "$to/units/phi-backend.socket" "$UNITS/phi-backend.socket"; then
    socket_changed=1
  fi
  local units=$to/units
  if ((dry)); then units=$scratch/units; fi
  for name in "${UNIT_FILES[@]}"; do put 0644 "$units/$name" "$UNITS/$name"; done
  # systemd 253 and newer wait for a reload themselves.
  if booted && (($(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p') >= 253)); then
    put 0644 "$HERE/notify-reload.conf" "$UNITS/phi-backend.service.d/notify-reload.conf"
  fi
  systemctl_if_booted daemon-reload
}

# Whether the service comes up as it should. A unit of Type=notify has started when it is ready.
bring_up() {
  if ((socket_changed)); then do_it systemctl stop phi-backend.service phi-backend.socket; fi
  do_it systemctl restart phi-backend.service
}

tell_why() {
  warn "what the service said:"
  journalctl --unit=phi-backend.service --lines=15 --no-pager --output=cat 2>/dev/null | sed 's/^/    /' >&2 || true
}

keep_only() { # the folders of other versions go
  local folder
  for folder in "$LIB"/*/; do
    folder=${folder%/}
    [[ -L $folder || $folder == "$1" || $folder == "${2-}" ]] || do_it rm -rf "$folder"
  done
}

install_version() {
  local before='' was_active=0
  [[ -L $LIB/current ]] && before=$(readlink -f "$LIB/current")
  booted && systemctl is-active --quiet phi-backend.service && was_active=1
  programs
  make_units
  if [[ ! $server ]]; then say "would install into $prefix, $CONF and $UNITS, and start phi-backend.service"; return; fi
  stage
  install_common
  verify
  if [[ $before == "$release" ]] && ((was_active)); then
    switch_to "$release"
    say "$id is installed and runs already"
    return
  fi
  switch_to "$release"
  if ((dry)); then say "Then $id would be started and would have to become ready, or the version before comes back"; return; fi
  if ! booted; then say "Installed $id. systemd does not run here: start $BIN/phi-backend yourself"; return; fi
  do_it systemctl --quiet enable phi-backend.service
  if ((!start)); then say "Installed $id; start it with: systemctl start phi-backend"; return; fi
  if bring_up; then
    if [[ $before && $before != "$release" ]]; then do_it ln -sfn "$(basename "$before")" "$LIB/previous"; fi
    keep_only "$release" "$before"
    say "Installed $id: $("$BIN/phictl" health)"
    return
  fi
  tell_why
  if [[ ! $before || $before == "$release" ]]; then
    die "$id does not become ready. It stays installed; mend what it says and run: systemctl start phi-backend"
  fi
  warn "$id does not become ready: back to $(basename "$before")"
  switch_to "$before"
  if ((was_active)) && ! bring_up; then
    tell_why
    die "the version before does not start either; see: journalctl -u phi-backend"
  fi
  do_it rm -rf "$release"
  die "the upgrade was rolled back; $(basename "$before") serves as before"
}

roll_back() {
  local to now
  now=$(readlink -f "$LIB/current" || true)
  to=$(readlink -f "$LIB/previous" || true)
  [[ -d $to && $to != "$now" ]] || die "there is no version before this one in $LIB"
  switch_to "$to"
  if booted && ((start)); then
    bring_up || { tell_why; die "$(basename "$to") does not become ready; see: journalctl -u phi-backend"; }
  fi
  do_it ln -sfn "$(basename "$now")" "$LIB/previous"
  say "Rolled back to $(basename "$to")"
}

uninstall() {
  if booted; then
    do_it systemctl --quiet disable --now phi-backend.service phi-backend.socket 2>/dev/null || true
    do_it systemctl reset-failed phi-backend.service 2>/dev/null || true
  fi
  # A configuration as it came is no loss.
  if [[ -f $LIB/current/config.toml ]] && cmp -s "$LIB/current/config.toml" "$CONF/config.toml"; then
    do_it rm -f "$CONF/config.toml"
  elif [[ -f $CONF/config.toml ]] && ((!purge)); then
    say "Kept your $CONF/config.toml"
  fi
  local name
  for name in "${UNIT_FILES[@]}"; do do_it rm -f "$UNITS/$name"; done
  do_it rm -rf "$UNITS/phi-backend.service.d/notify-reload.conf"
  for name in "${NAMES[@]}" phi-backendctl; do do_it rm -f "$BIN/$name"; done
  do_it rm -rf "$LIB" "$DOC"
  do_it rm -f /etc/sysusers.d/phi-backend.conf /etc/tmpfiles.d/phi-backend.conf
  local folder
  for folder in "$UNITS/phi-backend.service.d" "$CONF/secrets" "$CONF"; do
    [[ ! -d $folder ]] || do_it rmdir --ignore-fail-on-non-empty "$folder"
  done
  systemctl_if_booted daemon-reload
  if ((purge)); then
    do_it rm -rf "$CONF" "$DATA"
    if getent passwd phi-backend >/dev/null; then do_it userdel phi-backend; fi
    say "Removed Phi-Backend with its configuration and data"
  else
    say "Removed Phi-Backend. Its data stay in $DATA (--uninstall --purge removes them too)"
  fi
}

$action
