module signalbox.internal/signalbox

go 1.24
