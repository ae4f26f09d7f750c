/** The log's newest lines: by level, and standing still while somebody reads them. */
import type { Level, Snapshot } from '../snapshot.ts'
import { useState } from './dom.ts'
import { clock } from './format.ts'
import { Heading } from './parts.tsx'

const LEVELS: Readonly<Record<Level, { readonly rank: number; readonly name: string }>> = {
  info: { rank: 0, name: 'Everything' },
  warning: { rank: 1, name: 'Warnings and faults' },
  fault: { rank: 2, name: 'Faults only' },
}

export function Log({ snapshot }: { readonly snapshot: Snapshot }) {
  const [least, setLeast] = useState<Level>('info')
  const [held, setHeld] = useState<Snapshot['log'] | undefined>(undefined)
  const all = held ?? snapshot.log
  const lines = all.filter(({ level }) => LEVELS[level].rank >= LEVELS[least].rank)
  const newest = held?.[0]
  const missed = newest === undefined ? 0 : snapshot.log.findIndex(line => sameLine(line, newest))
  const among = snapshot.sites.length > 1
  return (
    <>
      <Heading>Log</Heading>
      <div class="controls">
        <label>
          Show{' '}
          <select value={least} onChange={event => setLeast(event.currentTarget.value as Level)}>
            {Object.entries(LEVELS).map(([level, { name }]) => (
              <option key={level} value={level}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <button
          type="button"
          aria-pressed={held !== undefined}
          onClick={() => setHeld(held === undefined ? snapshot.log : undefined)}
        >
          {held === undefined ? 'Pause' : 'Go on'}
        </button>
        {held !== undefined && (
          <span class="quiet" role="status">
            Paused{missed !== 0 && `, ${missed < 0 ? 'many' : missed} newer`}
          </span>
        )}
      </div>
      <section class="card log" aria-label="Lines, the newest first">
        {lines.length === 0 && <p class="quiet">Nothing of this kind was said.</p>}
        <ol>
          {lines.map((line, index) => (
            <li key={`${line.at} ${index}`} class={line.level}>
              <time>{clock(line.at)}</time>
              <span class="said">
                {among && <b>{line.site} </b>}
                {line.level !== 'info' && <b class="level">{line.level} </b>}
                {line.text}
              </span>
            </li>
          ))}
        </ol>
      </section>
    </>
  )
}

const sameLine = (a: Snapshot['log'][number], b: typeof a) => a.at === b.at && a.text === b.text && a.site === b.site
