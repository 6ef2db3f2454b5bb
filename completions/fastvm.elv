
set edit:completion:arg-completer[fastvm] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) FASTVM_COMPLETE="elvish" fastvm -- $@words) | to-lines
}

