complete --keep-order --exclusive --command fastvm --arguments "(FASTVM_COMPLETE=fish fastvm -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
