# Installs fastvm for Windows: the program and its completion.
#   -Version VERSION   the version; the latest without it
#   -Prefix FOLDER     where the program goes; %LOCALAPPDATA%\Programs\fastvm without it
#   -From PLACE        a folder or an address that has SHA256SUMS and the archives
#   -Uninstall         remove what was installed
param(
    [string] $Version = '',
    [string] $Prefix = (Join-Path $env:LOCALAPPDATA 'Programs\fastvm'),
    [string] $From = '',
    [switch] $Uninstall
)

$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest

# `cargo xtask dist` fills in where releases are.
$repository = ''

function Get-UserPath {
    $path = [Environment]::GetEnvironmentVariable('Path', 'User')
    @("$path".Split(';') | Where-Object { $_ -ne '' -and $_ -ne $Prefix })
}

function Set-UserPath([string[]] $folders) {
    [Environment]::SetEnvironmentVariable('Path', ($folders -join ';'), 'User')
}

function Get-ReleaseFile([string] $name, [string] $to) {
    if ($From -match '^https?://') {
        Invoke-WebRequest -UseBasicParsing -Uri "$From/$name" -OutFile $to
    } else {
        Copy-Item -LiteralPath (Join-Path $From $name) -Destination $to
    }
}

function Install-Fastvm([string] $scratch) {
    $sums = Join-Path $scratch 'SHA256SUMS'
    Get-ReleaseFile 'SHA256SUMS' $sums
    $wanted = if ($Version) { [regex]::Escape($Version.TrimStart('v')) } else { '.+' }
    # Of both builds the one by Microsoft's linker.
    $lines = @('msvc', 'gnu' | ForEach-Object {
        Select-String -LiteralPath $sums -Pattern "^([0-9a-f]{64})  (fastvm-$wanted-x86_64-pc-windows-$_)\.zip$"
    })
    if ($lines.Count -eq 0) { throw "$From has no archive for Windows of this version" }
    $sum = $lines[0].Matches[0].Groups[1].Value
    $stem = $lines[0].Matches[0].Groups[2].Value

    $archive = Join-Path $scratch "$stem.zip"
    Get-ReleaseFile "$stem.zip" $archive
    if ((Get-FileHash -LiteralPath $archive -Algorithm SHA256).Hash -ne $sum) {
        throw "the checksum of $stem.zip is not that of SHA256SUMS: nothing was installed"
    }
    Expand-Archive -LiteralPath $archive -DestinationPath $scratch
    $new = Join-Path $scratch $stem

    New-Item -ItemType Directory -Force -Path $Prefix | Out-Null
    foreach ($file in 'fastvm.exe', 'completions\_fastvm.ps1', 'LICENSE', 'THIRD-PARTY-LICENSES.txt') {
        Copy-Item -Force -LiteralPath (Join-Path $new $file) -Destination $Prefix
    }
    Set-UserPath (@(Get-UserPath) + $Prefix)
    & (Join-Path $Prefix 'fastvm.exe') --version
    Write-Output "installed in $Prefix, which new windows have in their Path"
    Write-Output "for completion add to `$PROFILE: . '$(Join-Path $Prefix '_fastvm.ps1')'"
}

function Uninstall-Fastvm {
    if (-not (Test-Path -LiteralPath (Join-Path $Prefix 'fastvm.exe'))) { throw "nothing is installed in $Prefix" }
    foreach ($file in 'fastvm.exe', '_fastvm.ps1', 'LICENSE', 'THIRD-PARTY-LICENSES.txt') {
        Remove-Item -Force -LiteralPath (Join-Path $Prefix $file)
    }
    if (-not (Get-ChildItem -Force -LiteralPath $Prefix)) { Remove-Item -LiteralPath $Prefix }
    Set-UserPath (Get-UserPath)
    Write-Output "removed from $Prefix"
}

if ($Uninstall) {
    Uninstall-Fastvm
    return
}
if (-not $From) {
    if (-not $repository) { throw 'this copy does not know where releases are: use -From' }
    $From = if ($Version) { "$repository/releases/download/v$($Version.TrimStart('v'))" }
        else { "$repository/releases/latest/download" }
}
$scratch = Join-Path ([IO.Path]::GetTempPath()) ([IO.Path]::GetRandomFileName())
New-Item -ItemType Directory -Path $scratch | Out-Null
try {
    Install-Fastvm $scratch
} finally {
    Remove-Item -Recurse -Force -LiteralPath $scratch
}
