# tell_tools: which tar the VM has, and which programs.
tell_tools() {
    flavor=plain
    case $(tar --version 2>/dev/null) in *'GNU tar'*) flavor=gnu ;; esac
    tools=
    for tool in zstd gzip curl tar cksum stat find dd; do
        if command -v "$tool" >/dev/null 2>&1; then tools="$tools $tool"; fi
    done
    printf 'flavor %s\ntools%s\n' "$flavor" "$tools"
}
