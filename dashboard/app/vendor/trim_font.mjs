// Reduce a sound font to some General MIDI programs.
// Usage: node trim_font.mjs INPUT.sf3 OUTPUT.sf3 PROGRAM [PROGRAM ...]
import fs from "node:fs";
import { SoundBankLoader } from "spessasynth_core";

const [input, output, ...numbers] = process.argv.slice(2);
const wanted = new Set(numbers.map(Number));
const file = fs.readFileSync(input);
const bank = SoundBankLoader.fromArrayBuffer(
  file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength),
);
for (const preset of [...bank.presets]) {
  const variant = preset.isGMGSDrum || preset.bankMSB || preset.bankLSB;
  if (variant || !wanted.has(preset.program)) bank.deletePreset(preset);
}
bank.removeUnusedElements();
const missing = [...wanted].filter((n) => !bank.presets.some((p) => p.program === n));
if (missing.length) throw new Error(`programs missing in the font: ${missing}`);
// The samples are compressed already; compressing them again would cost quality.
fs.writeFileSync(output, Buffer.from(await bank.writeSF2({ compress: false })));
