# zone-cities.awk - the cities of tzdata's zone.tab as NDJSON documents.
#
# Input: country code, tab, coordinates (ISO 6709: +DDMM+DDDMM or +DDMMSS+DDDMMSS), tab, zone name.
# "vector" is the place on the unit sphere: nearest by cosine is nearest on the globe.

function degrees(text, whole,   sign, d, m, s) {
    sign = substr(text, 1, 1) == "-" ? -1 : 1
    d = substr(text, 2, whole)
    m = substr(text, 2 + whole, 2)
    s = substr(text, 4 + whole, 2)
    return sign * (d + m / 60 + s / 3600)
}

BEGIN {
    FS = "\t"
    radian = atan2(0, -1) / 180
}

!/^#/ {
    match(substr($2, 2), /[+-]/)
    lat = degrees(substr($2, 1, RSTART), 2)
    lon = degrees(substr($2, RSTART + 1), 3)
    n = split($3, part, "/")
    name = part[n]
    gsub(/_/, " ", name)
    id = tolower(part[n])
    printf "{\"_id\":\"%s\",\"name\":\"%s\",\"country\":\"%s\",\"zone\":\"%s\",\"lat\":%.4f,\"lon\":%.4f," \
           "\"vector\":[%.6f,%.6f,%.6f]}\n", id, name, $1, $3, lat, lon, \
           cos(lat * radian) * cos(lon * radian), cos(lat * radian) * sin(lon * radian), sin(lat * radian)
}
