package signalbox

// The component's exports.
import _ "signalbox.internal/signalbox/internal/bindings/wit_exports"
