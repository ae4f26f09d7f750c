/** Which ledger node is followed, which ones are its witnesses, and which ones are not heard because they said something false. */
import type { Clock } from '../../drivers/ports.ts'
import { later, type Mono } from '../../protocol/time.ts'
import type { Said, Source } from './source.ts'

/**
 * Whoever said something false is not heard for an hour, and then as a witness, who can lie nobody into anything: on a
 * broker anybody may have spoken in its name, a node is repaired, and a board runs for years.
 */
const BARRED_MS = 3_600_000

/** One ledger node as it stands with the light client. */
export interface SourceView {
  readonly name: string
  /** `barred` said something false, and is not heard for an hour. */
  readonly role: 'primary' | 'witness' | 'barred'
  /** Failures in a row. */
  readonly strikes: number
  readonly said?: Said
}

export interface Roster {
  views(): readonly SourceView[]
  primary(): Source
  witnesses(): readonly Source[]
  everyone(): readonly Source[]
  /** The first witness becomes the primary; the old one goes on as the last witness. False where there is no witness. */
  promote(): boolean
  /** Leaves a source out; a primary stays where nobody can take its place. */
  bar(source: Source): void
  /** Those whose time is over are witnesses again. */
  readmit(): void
}

export function createRoster(
  first: Source,
  others: readonly Source[],
  clock: Clock,
  log: (text: string) => void,
): Roster {
  let primary = first
  let witnesses = others
  let barred: readonly { readonly source: Source; readonly until: Mono }[] = []

  function promote(): boolean {
    const [next, ...rest] = witnesses
    if (next === undefined) return false
    log(`${next.name} takes the place of ${primary.name}`)
    witnesses = [...rest, primary]
    primary = next
    primary.strikes = 0
    return true
  }

  const view = (role: SourceView['role'], { name, strikes, said }: Source): SourceView => ({
    ...{ name, role, strikes },
    ...(said === undefined ? {} : { said }),
  })

  return {
    views: () => [
      view('primary', primary),
      ...witnesses.map(one => view('witness', one)),
      ...barred.map(({ source }) => view('barred', source)),
    ],
    primary: () => primary,
    witnesses: () => witnesses,
    everyone: () => [primary, ...witnesses],
    promote,
    bar(source) {
      if (source === primary && !promote()) return
      if (!witnesses.includes(source)) return
      witnesses = witnesses.filter(one => one !== source)
      barred = [...barred, { source, until: later(clock.mono(), BARRED_MS) }]
    },
    readmit() {
      const now = clock.mono()
      const free = barred.filter(({ until }) => now >= until).map(({ source }) => source)
      if (free.length === 0) return
      barred = barred.filter(({ until }) => now < until)
      witnesses = [...witnesses, ...free]
      for (const source of free) {
        source.strikes = 0
        log(`${source.name} is heard again`)
      }
    },
  }
}
