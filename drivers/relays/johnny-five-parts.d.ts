/**
 * The two parts of johnny-five that are used, loaded by themselves: the whole library also loads every sensor and motor
 * that it knows. Only what is called here is declared.
 */
declare module 'johnny-five/lib/board.js' {
  export default class Board {
    constructor(options: { io: object; repl: false; sigint: false; debug: false; timeout?: number })
    once(event: 'ready', listener: () => void): this
  }
}

declare module 'johnny-five/lib/relay.js' {
  import type Board from 'johnny-five/lib/board.js'

  export default class Relay {
    constructor(options: { board: Board; pin: string | number; type: 'NO' | 'NC' })
    open(): this
    close(): this
  }
}
