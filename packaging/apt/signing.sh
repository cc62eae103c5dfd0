# The keys of the APT repository, for packaging/apt/build to source.
#
#   APT_SIGNING_KEY   which keys sign: fingerprints of secret keys in gpg's keyring, or files with secret keys (not both),
#                     divided by spaces. Every one signs, and the keyring package has every one.
# shellcheck shell=bash

# Days before a key expires from which every publication says so: packaging/apt/README.md promises an overlap of half a year.
OVERLAP_DAYS=180

signing_options=()

# open_keys DIRECTORY: finds the keys, says which they are, and writes their public halves into DIRECTORY/keyring.pgp.
open_keys() {
    local directory=$1 key files=() fingerprints=()
    for key in $APT_SIGNING_KEY; do
        if [ -f "$key" ]; then
            files+=("$key")
        else
            fingerprints+=("$key")
        fi
    done
    if [ ${#files[@]} -gt 0 ] && [ ${#fingerprints[@]} -gt 0 ]; then
        fail "APT_SIGNING_KEY has files and other words (${fingerprints[*]}): name files alone, or fingerprints alone"
    fi
    if [ ${#files[@]} -gt 0 ]; then
        import_keys "$directory/gnupg" "${files[@]}"
        mapfile -t fingerprints < <(gpg --batch --list-secret-keys --with-colons | primary_fingerprints)
    fi
    for key in "${fingerprints[@]}"; do
        check_key "$key"
        signing_options+=(--local-user "$key")
    done
    gpg --batch --yes --export --export-options export-minimal --output "$directory/keyring.pgp" "${fingerprints[@]}"
}

# close_keys DIRECTORY: ends the agent that gpg started for the files' keys.
close_keys() {
    if [ -d "$1/gnupg" ]; then
        gpgconf --homedir "$1/gnupg" --kill all
    fi
}

# sign_release DIRECTORY: writes InRelease and Release.gpg beside DIRECTORY/Release, whole before they get their names.
sign_release() {
    gpg --batch --yes --quiet --digest-algo SHA512 "${signing_options[@]}" --clearsign --output "$1/InRelease.new" "$1/Release"
    gpg --batch --yes --quiet --digest-algo SHA512 "${signing_options[@]}" --armor --detach-sign --output "$1/Release.gpg.new" "$1/Release"
    mv "$1/Release.gpg.new" "$1/Release.gpg"
    mv "$1/InRelease.new" "$1/InRelease"
}

import_keys() {
    export GNUPGHOME=$1
    shift
    mkdir -m 0700 "$GNUPGHOME"
    gpg --batch --quiet --import "$@"
}

primary_fingerprints() {
    awk -F: '$1 == "sec" { primary = 1 } $1 == "fpr" && primary { print $10; primary = 0 }'
}

# Refuses a key that cannot sign, and says when it has to be followed by another one.
check_key() {
    local record expires days
    record=$(gpg --batch --list-secret-keys --with-colons "$1" 2>/dev/null | grep '^sec:') ||
        fail "APT_SIGNING_KEY names $1, which is neither a file nor a secret key in gpg's keyring: see gpg --list-secret-keys"
    expires=$(printf '%s\n' "$record" | head -n 1 | cut -d : -f 7)
    if [ -z "$expires" ]; then
        echo "Signing with $1, which never expires"
        return
    fi
    days=$(((expires - $(date +%s)) / 86400))
    if [ "$days" -lt 0 ]; then
        fail "the key $1 expired on $(date -u -d "@$expires" +%F): extend it with gpg --quick-set-expire, or sign with another one"
    fi
    echo "Signing with $1, until $(date -u -d "@$expires" +%F)"
    if [ "$days" -lt "$OVERLAP_DAYS" ] && [ -z "${trial:-}" ]; then
        echo "WARNING: that is in $days days. Add the next key now: packaging/apt/README.md, \"Another key\"" >&2
    fi
}
