/** Runs once after so long, unless the program has ended before: waiting for it keeps no program alive. */
export const runInTime = (ms: number, run: () => void): void => {
  setTimeout(run, ms).unref()
}
