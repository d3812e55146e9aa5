// What the player needs of spessasynth_lib, as one classic script with the global `Spessa`.
export { WorkletSynthesizer, Sequencer } from "spessasynth_lib";
