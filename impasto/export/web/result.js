// What one takes home: pictures and clips, saved or shared.

/** A canvas as a file. */
export async function picture(canvas, name) {
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
  return new File([blob], `${name}.jpg`, { type: "image/jpeg" });
}

export function save(file) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function canShare(file) {
  return Boolean(navigator.canShare?.({ files: [file] }));
}

/** Whether it was shared; not where the visitor thought better of it. */
export async function share(file) {
  try {
    await navigator.share({ files: [file], title: "impasto" });
    return true;
  } catch (error) {
    if (error.name === "AbortError") return false;
    throw error;
  }
}

const FORMATS = ["video/mp4;codecs=avc1.42E01E", "video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];

/** Records what a canvas shows. */
export class Recorder {
  static get possible() {
    return Boolean(globalThis.MediaRecorder && HTMLCanvasElement.prototype.captureStream);
  }

  #recorder;
  #parts = [];

  constructor(canvas) {
    const mimeType = FORMATS.find((format) => MediaRecorder.isTypeSupported(format));
    this.#recorder = new MediaRecorder(canvas.captureStream(30), { mimeType, videoBitsPerSecond: 6_000_000 });
    this.#recorder.ondataavailable = ({ data }) => this.#parts.push(data);
    this.#recorder.start(1000);
  }

  /** The clip as a file. */
  async stop(name) {
    const ended = new Promise((done) => (this.#recorder.onstop = done));
    this.#recorder.stop();
    await ended;
    for (const track of this.#recorder.stream.getTracks()) track.stop();
    const type = this.#recorder.mimeType.split(";")[0];
    return new File(this.#parts, `${name}.${type === "video/mp4" ? "mp4" : "webm"}`, { type });
  }
}
