/** Milliseconds of processor time that this process takes for some work: what else the machine does meanwhile counts for little. */
export function cpuMs(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
