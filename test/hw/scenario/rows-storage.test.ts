import { showRows } from './shown.ts'

showRows('rows-storage').run()
