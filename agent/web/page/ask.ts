/** What is asked of the agent beside its snapshots. */
import { createContext, useContext, useEffect, useState } from './dom.ts'

export interface Asked<T> {
  /** The newest answer; it stays when the next question has none. */
  readonly value?: T
  /** When it came, by this machine's clock. */
  readonly at?: number
  /** Why the last question has no answer. */
  readonly trouble?: string
}

/** A refusal in words: our faults name what to do, where something can be done. */
export function troubleOf(status: number, body: unknown): string {
  const { code, hint, error } = (body ?? {}) as Partial<Record<'code' | 'hint' | 'error', unknown>>
  const said = [hint, error, code].find(each => typeof each === 'string' && each !== '')
  return said === undefined ? `the agent answered ${status}` : String(said)
}

async function ask<T>(path: string): Promise<Asked<T>> {
  try {
    const answer = await fetch(path, { headers: { accept: 'application/json' } })
    const body: unknown = await answer.json()
    return answer.ok ? { value: body as T, at: Date.now() } : { trouble: troubleOf(answer.status, body) }
  } catch {
    return { trouble: 'the agent does not answer' }
  }
}

/** Asks at once, every `everyMs`, and again when `turn` changes; nothing while `path` is undefined. */
export function useAsked<T>(path: string | undefined, everyMs: number, turn = 0): Asked<T> {
  const [asked, setAsked] = useState<{ readonly path?: string; readonly answer: Asked<T> }>({ answer: {} })
  useEffect(() => {
    if (path === undefined) return
    let gone = false
    const question = async () => {
      const answer = await ask<T>(path)
      if (gone) return
      setAsked(before => ({
        path,
        answer: before.path === path ? { ...before.answer, ...untroubled, ...answer } : answer,
      }))
    }
    void question()
    const timer = setInterval(() => void question(), everyMs)
    return () => {
      gone = true
      clearInterval(timer)
    }
  }, [path, everyMs, turn])
  // The answer to another question is none.
  return asked.path === path ? asked.answer : {}
}

const untroubled: Asked<never> = { trouble: undefined as never }

/** What the agent serves, as its OpenAPI document says: a view shows what there is. */
export interface Served {
  readonly has: (path: string) => boolean
  /** People log in. */
  readonly guarded: boolean
}

export const ServedContext = createContext<Served>({ has: () => false, guarded: false })
export const useServed = (): Served => useContext(ServedContext)

interface ApiDocument {
  readonly paths: Readonly<Record<string, unknown>>
  readonly components?: { readonly securitySchemes?: unknown }
}

/** Asked for once an hour: it changes when the agent is started anew. */
export function useApi(turn: number): Served {
  const { value } = useAsked<ApiDocument>('/api/openapi.json', 3_600_000, turn)
  return {
    has: path => value !== undefined && Object.hasOwn(value.paths, path),
    guarded: value?.components?.securitySchemes !== undefined,
  }
}
