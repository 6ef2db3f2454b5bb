class Fastvm < Formula
  desc "{DESCRIPTION}"
  homepage "{REPOSITORY}"
  version "{VERSION}"
  license "Apache-2.0"

  on_macos do
    on_arm do
      {MACOS_ARM}
    end
    on_intel do
      {MACOS_INTEL}
    end
  end

  on_linux do
    on_arm do
      {LINUX_ARM}
    end
    on_intel do
      {LINUX_INTEL}
    end
  end

  def install
    bin.install "fastvm"
    man1.install Dir["man/*.1"]
    bash_completion.install "completions/fastvm.bash" => "fastvm"
    zsh_completion.install "completions/_fastvm"
    fish_completion.install "completions/fastvm.fish"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/fastvm --version")
  end
end
